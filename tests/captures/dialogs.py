# SPDX-License-Identifier: GPL-2.0-or-later
"""What no program says of its own accord: dialogs whose segments are cut, crowded, lost or odd on purpose.

The kernels at both ends are real; most servers here are not."""

import contextlib
import socket
import threading
import time

from failure import Failure
from servers import Pyftpdlib
from talk import End, Talk, announcement, passive_reply

PAUSE_SECONDS = 0.01  # between two segments that are to stay two
CONTROL_PORT = 21


def send(end, *segments):
    end.set_nodelay(True)
    for segment in segments:
        end.write(segment)
        time.sleep(PAUSE_SECONDS)


def hear_reply(end, code):
    """Hears lines until the last one of a reply, which must have this code."""
    while True:
        line = end.hear_line()
        if line[:3].isdigit() and line[3:4] == " ":
            break
    if not line.startswith(str(code)):
        raise Failure(f"expected a reply {code}, got {line!r}")


def end_talk(talk):
    talk.exchange("QUIT", "221 Bye.")


@contextlib.contextmanager
def answering(end, answer):
    """Beside the block the end answers each line that it hears with the segments answer(line), up to QUIT."""
    def answer_all():
        line = ""
        while line != "QUIT":
            line = end.hear_line()
            send(end, *answer(line))

    thread = threading.Thread(target=answer_all, daemon=True)
    thread.start()
    yield
    thread.join()


def split_commands(road):
    """PORT and EPRT in pieces, coalesced with others, in lower case, to a server that takes what comes."""
    server = Pyftpdlib(road.lab, road.server, road.place.server, file_bytes=200)
    with road.captured(), road.client.entered():
        client = End("client", socket.create_connection((road.place.server, CONTROL_PORT)))
        with client.socket, socket.create_server((road.place.client, 0)) as listener:
            listener.settimeout(client.socket.gettimeout())
            for line, code in (("", 220), (f"USER {server.user}\r\n", 331), (f"PASS {server.password}\r\n", 230)):
                send(client, line.encode())
                hear_reply(client, code)
            port = listener.getsockname()[1]
            plain = announcement("PORT", road.place.client, port)
            extended = announcement("EPRT", road.place.client, port)

            for pieces in ([bytes([byte]) for byte in plain], [plain[:3], plain[3:]], [plain[:9], plain[9:]],
                           [plain[:-1], plain[-1:]], [extended[:14], extended[14:]], [b"port" + plain[4:]]):
                send(client, *pieces)
                hear_reply(client, 200)
                send(client, b"RETR one.bin\r\n")
                hear_reply(client, 125)
                listener.accept()[0].close()
                client.hear_line()  # 226, or 426: nobody reads the data
            send(client, b"NOOP\r\nPO", plain[2:])  # NOOP may be unanswered when PORT is complete
            hear_reply(client, 200)
            hear_reply(client, 200)
            send(client, plain + b"NOOP\r\nNOO", b"P\r\n")
            for _ in range(3):
                hear_reply(client, 200)
            send(client, plain + plain)
            hear_reply(client, 200)  # pyftpdlib forgets the first when the second comes before it could connect
            send(client, b"QUIT\r\n")
            hear_reply(client, 221)


def split_replies(road):
    """227 in pieces, in odd formats, in the last line of a reply, unasked for, and together with other replies."""
    whole = passive_reply("227", road.place.server, 50000)
    announced = whole[whole.index(b"(") + 1:whole.index(b")")]
    with road.captured(), Talk(road.scene) as talk:
        talk.log_in()
        for answer in (
                [whole],
                [bytes([byte]) for byte in whole],
                [whole[:2], whole[2:]],
                [whole[:35], whole[35:]],
                [whole[:-1], whole[-1:]],
                [b"227-listening\r\n 227 (1,2,3,4,5,6)\r\n227 =" + announced + b"\r\n"],
                [b"227 Mode( " + announced.replace(b",", b", ") + b" )\n"],
                [b"227 Logout.\r\n"],
                [passive_reply("229", road.place.server, 50000)],
                [b"229 Entering Extended Passive Mode (|1|" + road.place.server.encode() + b"|50000|)\r\n"]):
            talk.client.say("PASV")
            talk.server.hear("PASV")
            send(talk.server, *answer)
            hear_reply(talk.client, b"".join(answer)[:3].decode())
        talk.client.say("NOOP")
        talk.server.hear("NOOP")
        send(talk.server, b"200 quiet\r\n" + whole)  # nobody asked for it
        hear_reply(talk.client, 200)
        hear_reply(talk.client, 227)
        end_talk(talk)


def large_segments(road):
    """PORT at the begin of segments that are as large as the path takes."""
    padding = b"STAT " + b"x" * 193 + b"\r\n"  # 200 bytes
    port = announcement("PORT", road.place.client, 50000)
    with road.captured(), Talk(road.scene) as talk:
        talk.log_in()
        with answering(talk.server, lambda line: [b"221 bye\r\n" if line == "QUIT" else b"200 ok\r\n"]):
            for count in (7, 14, 2):
                send(talk.client, port + padding * count)
                for _ in range(1 + count):
                    hear_reply(talk.client, 200)
            send(talk.client, b"QUIT\r\n")
            hear_reply(talk.client, 221)


LOSSY_ROUNDS = 12


def lossy_client(road):
    """PORT and what follows it are lost and repeated, with SACK; so are acknowledgements. All behind the place of
    capture."""
    road.lose(road.server, "tcp dport 21 meta length 56-2000 numgen inc mod 5 == 1")
    road.lose(road.client, "tcp sport 21 numgen inc mod 6 == 2")
    with road.captured(), Talk(road.scene) as talk:
        talk.log_in()
        with answering(talk.server, lambda line: [b"221 bye\r\n" if line == "QUIT" else b"200 ok\r\n"]):
            for number in range(LOSSY_ROUNDS):
                send(talk.client, announcement("PORT", road.place.client, 40000 + 1111 * number),
                     *[b"NOOP\r\n"] * (number % 5))
                for _ in range(1 + number % 5):
                    hear_reply(talk.client, 200)
            send(talk.client, b"QUIT\r\n")
            hear_reply(talk.client, 221)


def lossy_server(road):
    """227 and what follows it are lost and repeated, with SACK; so are acknowledgements. All behind the place of
    capture."""
    road.lose(road.client, "tcp sport 21 meta length 56-2000 numgen inc mod 5 == 1")
    road.lose(road.server, "tcp dport 21 numgen inc mod 6 == 2")
    with road.captured(), Talk(road.scene) as talk:
        talk.log_in()
        for number in range(LOSSY_ROUNDS):
            talk.client.say("PASV")
            talk.server.hear("PASV")
            send(talk.server, passive_reply("227", road.place.server, 40000 + 1111 * number),
                 *[b"150 still here\r\n"] * (number % 5))
            hear_reply(talk.client, 227)
            for _ in range(number % 5):
                hear_reply(talk.client, 150)
        end_talk(talk)


def encrypted(road):
    """AUTH TLS, and what looks like PORT and 227 behind it."""
    with road.captured(), Talk(road.scene) as talk:
        talk.reply("220 lab server ready.")
        talk.exchange("AUTH TLS", "234 AUTH TLS OK.")
        send(talk.client, b"\x16\x03\x01\x00\x10PORT 10,0,1,2,195,80\r\n")
        talk.server.hear_bytes(len(b"\x16\x03\x01\x00\x10PORT 10,0,1,2,195,80\r\n"))
        send(talk.server, b"\x16\x03\x03\x00\x10227 Entering Passive Mode (10,0,2,2,195,80).\r\n")
        send(talk.client, b"\x17\x03\x03\r\n")
