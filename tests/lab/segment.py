# SPDX-License-Identifier: GPL-2.0-or-later
"""Segments that no kernel has made: in anybody's name, and with any sequence number."""

import contextlib
import socket
import struct

from address import family_of

PUSH_ACK = 0x18
SYN = 0x02
WINDOW = 1024
TIME_TO_LIVE = 64

TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21  # linux/tcp.h
REPAIR_ON, REPAIR_OFF_SILENTLY = 1, -1
RECEIVE_QUEUE, SEND_QUEUE = 1, 2


def send_segment(namespace, connection, payload, distance=0, time_to_live=TIME_TO_LIVE, good_checksum=True):
    """Sends, from the namespace, a segment in the name of the connection's own end, which knows nothing of it. Its
    sequence and acknowledgement numbers are so far from what that end would send next."""
    source, destination = connection.getsockname()[:2], connection.getpeername()[:2]
    seq, ack = next_numbers(connection)
    segment = make_segment(source, destination, seq + distance, ack + distance, PUSH_ACK, payload)
    if not good_checksum:
        segment = segment[:16] + bytes([segment[16] ^ 0xff]) + segment[17:]
    with raw_socket(namespace, source[0]) as raw:
        raw.sendto(_header(source[0], destination[0], len(segment), time_to_live) + segment, (destination[0], 0))


@contextlib.contextmanager
def raw_socket(namespace, address):
    """Takes whole packets of the address's family, and sends them from the namespace."""
    family = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}[family_of(address)]
    with namespace.entered():
        raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with raw:
        yield raw


def make_packet(source, destination, seq, ack, flags, payload=b""):
    """A whole packet; source and destination are (address, port)."""
    segment = make_segment(source, destination, seq, ack, flags, payload)
    return _header(source[0], destination[0], len(segment), TIME_TO_LIVE) + segment


def make_segment(source, destination, seq, ack, flags, payload):
    header = struct.pack("!HHIIBBHHH", source[1], destination[1], seq % (1 << 32), ack % (1 << 32), 5 << 4, flags, WINDOW, 0, 0)
    segment = header + payload
    addresses = _packed(source[0]) + _packed(destination[0])
    checksum = _checksum(addresses + struct.pack("!II", len(segment), socket.IPPROTO_TCP) + segment)
    return segment[:16] + struct.pack("!H", checksum) + segment[18:]


def next_numbers(connection):
    """The sequence number of the next byte that the end will send, and of the next that it will receive."""
    connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, REPAIR_ON)
    try:
        return _queue_number(connection, SEND_QUEUE), _queue_number(connection, RECEIVE_QUEUE)
    finally:
        connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF_SILENTLY)


def _queue_number(connection, queue):
    connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, queue)
    return connection.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ) % (1 << 32)


def _header(source, destination, segment_bytes, time_to_live):
    """The kernel fills in the checksum of IPv4."""
    if family_of(source) == "ipv4":
        return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + segment_bytes, 0, 0, time_to_live, socket.IPPROTO_TCP, 0,
                           _packed(source), _packed(destination))
    return struct.pack("!IHBB16s16s", 6 << 28, segment_bytes, socket.IPPROTO_TCP, time_to_live,
                       _packed(source), _packed(destination))


def _packed(address):
    family = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}[family_of(address)]
    return socket.inet_pton(family, address)


def _checksum(content):
    if len(content) % 2:
        content += b"\0"
    total = sum(struct.unpack(f"!{len(content) // 2}H", content))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
