# SPDX-License-Identifier: GPL-2.0-or-later
"""What a capture shows of FTP: who announces what, and which data connections come of it.

Made without any code of the gateway's, and knowing nothing of its decisions."""

import dataclasses
import ipaddress
import re

import packets

ACTIVE = re.compile(r"(?:\xff[\xf0-\xff])*(PORT|EPRT|LPRT) (.*)", re.IGNORECASE)
PASSIVE = re.compile(r"(227|228|229) (.*)")
NUMBERS = re.compile(r"\d+(?: *, *\d+)+")


@dataclasses.dataclass(frozen=True)
class Announcement:
    """A line on a control connection that announces a data connection, or wants to."""
    client: tuple
    server: tuple
    is_active: bool  # said by the client
    line: str
    begin: int       # in its stream
    number: int      # of the packet, from 1, by which it was complete
    host: str        # None when the line does not name it
    port: int        # None when nobody can read the line

    @property
    def listener(self):
        """The host that the other connects to."""
        return self.host or (self.client if self.is_active else self.server)[0]

    @property
    def connector(self):
        return (self.server if self.is_active else self.client)[0]

    def naming(self, host):
        """The line with another host in it, where it names one, and no other change."""
        if host == self.listener:
            return self.line
        if "|" in self.line:
            return self.line.replace(f"|{self.host}|", f"|{host}|")
        address = [str(byte) for byte in ipaddress.ip_address(host).packed]
        numbers = NUMBERS.search(self.line, len("PORT"))
        old = re.split(" *, *", numbers[0])
        begin = 0 if len(old) == len(address) + 2 else 2  # an LPRT and a 228 have lengths, too
        new = old[:begin] + address + old[begin + len(address):]
        return self.line[:numbers.start()] + ",".join(new) + self.line[numbers.end():]


    def leads_to(self, connection, names):
        """Whether it announces the connection, of which the capture may show what NAT makes of its destination."""
        host, port = connection.destination
        return (connection.source[0] == self.connector and port == self.port and
                host in (self.listener, names.get(self.listener)))


@dataclasses.dataclass(frozen=True)
class Line:
    text: str    # without its end
    begin: int   # in its stream
    number: int  # of the packet by which it was complete


@dataclasses.dataclass(frozen=True)
class DataConnection:
    source: tuple
    destination: tuple
    number: int  # of its first packet


def announcements(capture, port=21):
    """Every announcement in plain text, in the order of the capture."""
    found = []
    streams = packets.streams(capture, port)
    for asked in streams:
        if asked.destination[1] != port:
            continue
        # The same ports may be used again.
        earlier = sum(stream.key == asked.key for stream in streams[:streams.index(asked)])
        answers = [stream for stream in streams if stream.key == asked.key[::-1]]
        answered = answers[earlier] if earlier < len(answers) else packets.Stream(*asked.key[::-1])
        encrypted_from = min((reply.number for reply in final_replies(answered) if reply.text.startswith("234 ")),
                             default=len(capture.frames))
        for pattern, said in ((ACTIVE, lines(asked)), (PASSIVE, final_replies(answered))):
            for line in said:
                match = pattern.match(line.text)
                if match and line.number <= encrypted_from:
                    found.append(Announcement(*asked.key, pattern is ACTIVE, line.text, line.begin, line.number,
                                              *read(match[1].upper(), match[2])))
    return sorted(found, key=lambda each: each.number)


def data_connections(capture, port=21):
    found = {}
    for number, frame in enumerate(capture.frames, 1):
        segment = packets.segment_of(capture, frame)
        if segment.flags & (packets.SYN | packets.ACK) == packets.SYN and port not in (segment.source[1],
                                                                                      segment.destination[1]):
            found.setdefault((segment.key, segment.seq), DataConnection(*segment.key, number))
    return list(found.values())


def lines(stream):
    """All complete lines."""
    found, begin = [], 0
    while (end := stream.data.find(b"\n", begin)) >= 0:
        text = stream.data[begin:end].decode("latin-1").removesuffix("\r")
        found.append(Line(text, begin, max(stream.numbers[begin:end + 1])))
        begin = end + 1
    return found


def final_replies(stream):
    """The last line of each reply."""
    found, awaited = [], None
    for line in lines(stream):
        if re.match(awaited or r"\d\d\d ", line.text):
            found.append(line)
            awaited = None
        elif not awaited and re.match(r"\d\d\d-", line.text):
            awaited = line.text[:3] + " "
    return found


def read(name, argument):
    """(host, port) that the line announces; the host is None where it goes without saying, and the port when the
    line cannot be read."""
    if name == "EPRT":
        host, port = argument.split(argument[0])[2:4]
        return host, int(port)
    if name == "229":
        match = re.search(r"\((.)(?:\d?)\1(.*)\1(\d+)\1\)", argument)
        return (match[2] or None, int(match[3])) if match else (None, None)
    match = NUMBERS.search(argument)
    if not match:
        return None, None
    numbers = [int(number) for number in match[0].split(",")]
    address = numbers[:-2] if name in ("PORT", "227") else numbers[2:-3]
    return str(ipaddress.ip_address(bytes(address))), numbers[-2] << 8 | numbers[-1]
