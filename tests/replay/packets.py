# SPDX-License-Identifier: GPL-2.0-or-later
"""Captures as lists of packets, to be looked at and to be changed into others that are harder to take."""

import dataclasses
import ipaddress
import struct

ETHERNET, NULL, RAW, LOOP, LINUX_SLL = 1, 0, 101, 108, 113
MICROSECONDS, NANOSECONDS = 0xA1B2C3D4, 0xA1B23C4D
FIN, SYN, ACK, URG = 0x01, 0x02, 0x10, 0x20
SACK_OPTION = 5
WRAP = 1 << 32


@dataclasses.dataclass
class Frame:
    time: int  # nanoseconds since 1970
    data: bytes
    wire_length: int


@dataclasses.dataclass
class Capture:
    link_type: int
    frames: list


def read(path):
    data = path.read_bytes()
    magic, = struct.unpack_from("<I", data)
    if magic not in (MICROSECONDS, NANOSECONDS):
        raise ValueError(f"{path} is no little-endian pcap")
    unit = 1000 if magic == MICROSECONDS else 1
    link_type, = struct.unpack_from("<I", data, 20)
    frames, at = [], 24
    while at < len(data):
        seconds, fraction, captured, wire_length = struct.unpack_from("<IIII", data, at)
        at += 16
        frames.append(Frame(seconds * 10**9 + fraction * unit, data[at:at + captured], wire_length))
        at += captured
    return Capture(link_type, frames)


def write(path, capture):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", NANOSECONDS, 2, 4, 0, 0, 262144, capture.link_type))
        for frame in capture.frames:
            file.write(struct.pack("<IIII", *divmod(frame.time, 10**9), len(frame.data), frame.wire_length))
            file.write(frame.data)


class Segment:
    """A TCP segment in an Ethernet, raw or SLL2 frame; what is changed here is written back by bytes()."""

    def __init__(self, link_header, packet):
        self.link_header = link_header
        self.version = packet[0] >> 4
        self.ip = bytearray(packet[:(packet[0] & 15) * 4 if self.version == 4 else 40])
        end = struct.unpack_from("!H", packet, 2)[0] if self.version == 4 else 40 + struct.unpack_from("!H", packet, 4)[0]
        tcp = packet[len(self.ip):end]
        self.tcp, self.payload = bytearray(tcp[:(tcp[12] >> 4) * 4]), tcp[(tcp[12] >> 4) * 4:]

    def _address(self, which):
        at, size = (12, 4) if self.version == 4 else (8, 16)
        return str(ipaddress.ip_address(bytes(self.ip[at + which * size:at + (which + 1) * size])))

    def _port(self, which):
        return struct.unpack_from("!H", self.tcp, 2 * which)[0]

    @property
    def source(self):
        return self._address(0), self._port(0)

    @property
    def destination(self):
        return self._address(1), self._port(1)

    @property
    def key(self):
        return self.source, self.destination

    @property
    def seq(self):
        return struct.unpack_from("!I", self.tcp, 4)[0]

    @property
    def ack(self):
        return struct.unpack_from("!I", self.tcp, 8)[0]

    @property
    def flags(self):
        return self.tcp[13]

    @property
    def urgent_pointer(self):
        return struct.unpack_from("!H", self.tcp, 18)[0]

    def set_port(self, which, port):
        struct.pack_into("!H", self.tcp, 2 * which, port)

    def add_option(self, option):
        """Adds a TCP option of a multiple of 4 bytes."""
        self.tcp += option
        self.tcp[12] += len(option) // 4 << 4
        at = 2 if self.version == 4 else 4
        struct.pack_into("!H", self.ip, at, struct.unpack_from("!H", self.ip, at)[0] + len(option))
        if self.version == 4:
            self.ip[10:12] = b"\0\0"
            struct.pack_into("!H", self.ip, 10, checksum(bytes(self.ip)))

    def renumber(self, seq_shift, ack_shift):
        def shift(at, by):
            struct.pack_into("!I", self.tcp, at, (struct.unpack_from("!I", self.tcp, at)[0] + by) % WRAP)
        shift(4, seq_shift)
        if not self.flags & ACK:
            return
        shift(8, ack_shift)
        at = 20
        while at < len(self.tcp) and self.tcp[at] != 0:
            length = 1 if self.tcp[at] == 1 else self.tcp[at + 1]
            if self.tcp[at] == SACK_OPTION:
                for edge in range(at + 2, at + length, 4):
                    shift(edge, ack_shift)
            at += length

    def bytes(self):
        self.tcp[16:18] = b"\0\0"
        size = len(self.tcp) + len(self.payload)
        addresses = self.ip[12:20] if self.version == 4 else self.ip[8:40]
        pseudo = bytes(addresses) + struct.pack("!IHH", size, 0, 6)
        struct.pack_into("!H", self.tcp, 16, checksum(pseudo + bytes(self.tcp) + self.payload))
        return self.link_header + bytes(self.ip) + bytes(self.tcp) + self.payload


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


LINK_HEADER_LENGTHS = {ETHERNET: 14, RAW: 0, NULL: 4, LOOP: 4, LINUX_SLL: 16, 276: 20}


def segment_of(capture, frame):
    length = LINK_HEADER_LENGTHS[capture.link_type]
    return Segment(frame.data[:length], frame.data[length:])


@dataclasses.dataclass(eq=False)
class Stream:
    """What one end of a control connection sent, put in order."""
    source: tuple
    destination: tuple
    data: bytearray = dataclasses.field(default_factory=bytearray)
    numbers: list = dataclasses.field(default_factory=list)  # of the packet, from 1, that had each byte first
    urgent: set = dataclasses.field(default_factory=set)     # where urgent data ends: (lines before, bytes of its line)

    @property
    def key(self):
        return self.source, self.destination

    def take(self, offset, payload, number):
        missing = offset + len(payload) - len(self.data)
        if missing > 0:
            self.data.extend(b"\0" * missing)
            self.numbers.extend([None] * missing)
        for at, byte in enumerate(payload, offset):
            self.data[at] = byte
            self.numbers[at] = self.numbers[at] or number

    def note_urgent(self, end):
        """Urgent data ends in front of the end, behind all that has been taken so far or in it."""
        self.urgent.add((self.data.count(b"\n", 0, end - 1), end - 1 - self.data.rfind(b"\n", 0, end - 1)))


def streams(capture, port=21):
    """The control connections' streams, by the time of their SYNs."""
    found = []
    latest = {}
    for number, frame in enumerate(capture.frames, 1):
        segment = segment_of(capture, frame)
        if port not in (segment.source[1], segment.destination[1]):
            continue
        if segment.flags & SYN:
            if segment.key not in latest or latest[segment.key][1] != segment.seq:
                found.append(Stream(*segment.key))
                latest[segment.key] = found[-1], segment.seq
            continue
        stream, initial = latest[segment.key]
        offset = (segment.seq - initial - 1) % WRAP
        if offset < WRAP // 2:  # a keep-alive repeats the byte before the first
            stream.take(offset, segment.payload, number)
            if segment.flags & URG:
                stream.note_urgent(offset + segment.urgent_pointer)
    return found


# --- Harder captures from easy ones ---

def changed(capture, change):
    """Every segment as change(segment) leaves it."""
    frames = []
    for frame in capture.frames:
        segment = segment_of(capture, frame)
        change(segment)
        data = segment.bytes()
        frames.append(Frame(frame.time, data, len(data)))
    return Capture(capture.link_type, frames)


def with_initial_numbers(capture, initial):
    """Each direction of each connection begins at this sequence number."""
    shifts = {}

    def change(segment):
        if segment.flags & SYN:
            shifts[segment.key] = initial - segment.seq
        segment.renumber(shifts[segment.key], shifts.get(segment.key[::-1], 0))

    return changed(capture, change)


def with_port(capture, old, new):
    def change(segment):
        for which in (0, 1):
            if segment.key[which][1] == old:
                segment.set_port(which, new)

    return changed(capture, change)


def with_duplicate_sacks(capture, length):
    """Each acknowledgement also tells that the last bytes before it came twice (RFC 2883)."""
    def change(segment):
        if segment.flags & (SYN | ACK) == ACK and len(segment.tcp) == 32:  # room for timestamps and this
            left_edge = (segment.ack - length) % WRAP
            segment.add_option(struct.pack("!BBBBII", 1, 1, SACK_OPTION, 10, left_edge, segment.ack))

    return changed(capture, change)


def with_link_type(capture, link_type, link_header):
    frames = []
    for frame in capture.frames:
        data = link_header + frame.data[LINK_HEADER_LENGTHS[capture.link_type]:]
        frames.append(Frame(frame.time, data, len(data)))
    return Capture(link_type, frames)


def without_first(capture, count):
    return Capture(capture.link_type, capture.frames[count:])


def twice(capture, seconds_between, with_end):
    """The same connection again, with other sequence numbers; the first with or without its end."""
    first = with_initial_numbers(capture, 1000)
    again = with_initial_numbers(capture, 3 * 10**9)
    if not with_end:
        end = next(at for at, frame in enumerate(first.frames) if segment_of(first, frame).flags & FIN)
        del first.frames[end:]
    for frame in again.frames:
        frame.time += seconds_between * 10**9
    return Capture(capture.link_type, first.frames + again.frames)


def slowed_down(capture, factor):
    first = capture.frames[0].time
    return Capture(capture.link_type,
                   [Frame(first + (f.time - first) * factor, f.data, f.wire_length) for f in capture.frames])


def snapped(capture, length):
    return Capture(capture.link_type, [Frame(f.time, f.data[:length], f.wire_length) for f in capture.frames])
