# SPDX-License-Identifier: GPL-2.0-or-later
"""What each capture of tests/captures shows, so that one that shows less when it is made anew is noticed."""

import dataclasses

CLIENT = ("snat:198.51.100.1", "snat:2001:db8:1::1")
CLIENT_OUTSIDE = ("snat:198.51.100.1=10.0.1.2",)
SERVER = ("dnat:203.0.113.1=10.0.2.2", "dnat:2001:db8:2::1=fd00:2::2")

# Parts of reasons.
UNSOLICITED = "is unanswered"
UNANSWERED = "earlier command is still unanswered"
UNREADABLE = "announces no host-port that can be read"
OPAQUE = "encrypted from here on"
FOREIGN = "not that of the control connection's own end"


@dataclasses.dataclass(frozen=True)
class Shown:
    """What is shown to a gateway with this NAT."""
    nats: tuple
    rewritten: int = 0       # announcements that name the end that is translated
    right_as_is: int = 0     # all other ones that may open a data connection
    connections: int = 0     # the data connections that come of them
    refused: tuple = ()      # parts of the reasons why the other lines open nothing
    hidden: int = 0          # data connections that were announced in secret
    urgent: int = 0          # ends of urgent data
    long_greetings: int = 0  # control connections that begin with a greeting of several lines


SHOWN = {
    "inside-client.pcap": Shown(CLIENT, 12, 8, 20),
    "inside-client-ipv6.pcapng": Shown(CLIENT, 10, 8, 18),
    "inside-server.pcap": Shown(SERVER, 6, 14, 20),
    "outside-client.pcap": Shown(CLIENT_OUTSIDE, 4, 0, 4),
    "outside-server.pcap": Shown(SERVER, 4, 0, 4),
    "any-interface.pcap": Shown(CLIENT, 4, 0, 4),
    "abort-client.pcap": Shown(CLIENT, 6, 4, 10, urgent=5),
    "abort-server.pcap": Shown(SERVER, 2, 8, 10, urgent=5),
    "tls.pcap": Shown(SERVER, refused=(OPAQUE,) * 2, hidden=3),
    "tls-refused.pcap": Shown(SERVER, 2, 2, 4),
    "greeting.pcap": Shown(SERVER, 2, 2, 4, long_greetings=2),
    "encrypted.pcap": Shown(CLIENT, refused=(OPAQUE,)),
    "split-commands.pcap": Shown(CLIENT, 9, 0, 8, refused=(UNANSWERED,)),
    "split-replies.pcap": Shown(SERVER, 8, 1, 0, refused=(UNREADABLE, UNSOLICITED)),
    "large-segments.pcap": Shown(CLIENT, 3),
    "lossy-client.pcap": Shown(CLIENT, 12),
    "lossy-server.pcap": Shown(SERVER, 12),
    # The servers and clients that people use, each in four of these. A 229 names nobody, so none is rewritten.
    "vsftpd-curl.pcap": Shown(CLIENT, 4, 4, 8),
    "vsftpd-lftp.pcap": Shown(SERVER, 4, 4, 8),
    "vsftpd-tnftp.pcap": Shown(CLIENT, 4, 4, 8),
    "vsftpd-ftplib.pcap": Shown(SERVER, 0, 8, 8),
    "proftpd-curl.pcap": Shown(SERVER, 4, 4, 8),
    "proftpd-lftp.pcap": Shown(CLIENT, 4, 4, 8),
    "proftpd-tnftp.pcap": Shown(SERVER, 0, 8, 8),
    "proftpd-ftplib.pcap": Shown(CLIENT, 4, 4, 8),
    "pure-ftpd-curl.pcap": Shown(CLIENT, 4, 4, 8, long_greetings=2),
    "pure-ftpd-lftp.pcap": Shown(SERVER, 0, 8, 8, long_greetings=2),
    "pure-ftpd-tnftp.pcap": Shown(CLIENT, 4, 4, 8, long_greetings=2),
    "pure-ftpd-ftplib.pcap": Shown(SERVER, 4, 4, 8, long_greetings=2),
    "pyftpdlib-curl.pcap": Shown(SERVER, 0, 8, 8),
    "pyftpdlib-lftp.pcap": Shown(CLIENT, 4, 4, 8),
    "pyftpdlib-tnftp.pcap": Shown(SERVER, 0, 8, 8),
    "pyftpdlib-ftplib.pcap": Shown(CLIENT, 4, 4, 8),
}
