#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets into corpus/TARGET/ (always the same octets).

Each seed is one idea that a peer might have, named by its file. What a fuzzer finds later is added
by hand beside them, as found-WHAT.bin, and stays.
"""

import pathlib
import struct

OUR_MAC, PEER_MAC = bytes([2, 0, 0, 0, 0, 1]), bytes([2, 0, 0, 0, 0, 2])
BROADCAST = b"\xff" * 6
OUR_IP, PEER_IP = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))

# First octet of the frame target's input (see frame_fuzz.cc).
UNKNOWN, GOOD, BAD_IP, BAD_TCP = 0x00, 0x05, 0x02, 0x09
PREFIX, REPAIR = 0x10, 0x20

SYN_OPTIONS = bytes([2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7])
TIMESTAMPS = bytes([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2])


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def tcp(flags, options=TIMESTAMPS, payload=b"", ports=(4000, 80), offset=None,
        source=PEER_IP, target=OUR_IP):
    words = 5 + len(options) // 4 if offset is None else offset
    def header(total):
        return struct.pack("!HHIIBBHHH", *ports, 1000, 2000, words << 4, flags, 512, total, 0)
    rest = options + payload
    pseudo = source + target + struct.pack("!HH", 6, 20 + len(rest))
    return header(checksum(pseudo + header(0) + rest)) + rest


def ip(inner, protocol=6, source=PEER_IP, target=OUR_IP, options=b"", fragment=0x4000,
       total=None, version=4, words=None):
    words = 5 + len(options) // 4 if words is None else words
    total = 20 + len(options) + len(inner) if total is None else total
    def header(value):
        return struct.pack("!BBHHHBBH", version << 4 | words, 0, total, 7, fragment, 64, protocol,
                           value) + source + target + options
    return header(checksum(header(0))) + inner


def ether(inner, target=OUR_MAC, kind=0x0800):
    return target + PEER_MAC + struct.pack("!H", kind) + inner


def arp(operation=1, lengths=0x0604, sender=PEER_MAC):
    head = struct.pack("!HHHH", 1, 0x0800, lengths, operation)
    return head + sender + PEER_IP + bytes(6) + OUR_IP


def icmp(kind, code=0, rest=bytes(4), body=b""):
    def message(value):
        return struct.pack("!BBH", kind, code, value) + rest + body
    return message(checksum(message(0)))


def quoted(**fields):
    """What an ICMP error quotes: a segment of ours."""
    return ip(tcp(ACK, source=OUR_IP, target=PEER_IP)[:8], source=OUR_IP, target=PEER_IP, total=52,
              **fields)


def frames():
    def segment(flags, choice=UNKNOWN, **fields):
        return bytes([choice]) + ether(ip(tcp(flags, **fields)))

    def packet(inner, choice=UNKNOWN, **fields):
        return bytes([choice]) + ether(ip(inner, **fields))

    plain = tcp(ACK)
    loopback, multicast = bytes([127, 0, 0, 1]), bytes([224, 0, 0, 1])
    return {
        # The life of a connection.
        "syn": segment(SYN, options=SYN_OPTIONS),
        "syn-ecn": segment(SYN | ECE | CWR, options=SYN_OPTIONS),
        "syn-without-options": segment(SYN, options=b""),
        "syn-with-data": segment(SYN, options=SYN_OPTIONS, payload=b"early"),
        "syn-ack": segment(SYN | ACK, options=SYN_OPTIONS),
        "ack": segment(ACK),
        "ack-repaired": segment(ACK, REPAIR),
        "data": segment(ACK | PSH, payload=b"GET / HTTP/1.1\r\n\r\n"),
        "data-odd": segment(ACK | PSH, GOOD, payload=b"x"),
        "data-padded": segment(ACK) + bytes(14),
        "sack": segment(ACK, options=TIMESTAMPS + bytes([1, 1, 5, 10]) + bytes(8)),
        "fin": segment(FIN | ACK),
        "rst": segment(RST, options=b""),
        "urgent": segment(ACK | URG, payload=b"!"),
        "to-prefix": bytes([PREFIX]) + ether(ip(plain, target=bytes([10, 0, 77, 1])), OUR_MAC),
        # TCP headers that cannot be, or nearly.
        "no-flags": segment(0),
        "all-flags": segment(0xFF),
        "reserved-bits": bytes([GOOD]) + ether(ip(plain[:12] + b"\x8f" + plain[13:])),
        "offset-4": segment(ACK, GOOD, offset=4),
        "offset-15": segment(ACK, GOOD, offset=15),
        "option-length-0": segment(ACK, options=bytes([2, 0, 1, 1])),
        "option-length-1": segment(ACK, options=bytes([254, 1, 1, 1])),
        "option-past-end": segment(ACK, options=bytes([1, 1, 8, 10])),
        "options-40-nops": segment(ACK, options=bytes([1]) * 40),
        "bad-ip-checksum": segment(ACK, BAD_IP),
        "bad-tcp-checksum": segment(ACK, BAD_TCP),
        "wrong-tcp-checksum": bytes([UNKNOWN]) + ether(ip(plain[:16] + b"\0\0" + plain[18:])),
        # IP headers.
        "ip-options": packet(plain, options=bytes([148, 4, 0, 0, 7, 7, 4, 0, 0, 0, 0, 0])),
        "ip-source-route": packet(plain, options=bytes([131, 7, 4, 10, 0, 0, 9, 0])),
        "ip-option-length-0": packet(plain, options=bytes([7, 0, 0, 0])),
        "ip-version-6": packet(plain, GOOD, version=6),
        "ip-header-16": packet(plain, GOOD, words=4),
        "ip-header-60": packet(plain, GOOD, words=15),
        "ip-total-19": packet(plain, GOOD, total=19),
        "ip-total-21": packet(plain, GOOD, total=21),
        "ip-total-beyond": packet(plain, GOOD, total=2000),
        "fragment-first": packet(plain, fragment=0x2000),
        "fragment-later": packet(plain, fragment=0x0010),
        "land": packet(tcp(SYN, ports=(80, 80), source=OUR_IP), source=OUR_IP),
        "from-loopback": packet(tcp(SYN, source=loopback), source=loopback),
        "to-multicast": packet(tcp(SYN, target=multicast), target=multicast),
        "to-broadcast-mac": bytes([UNKNOWN]) + ether(ip(tcp(SYN)), BROADCAST),
        # Other protocols.
        "arp-request": bytes([UNKNOWN]) + ether(arp(), BROADCAST, 0x0806) + bytes(18),
        "arp-reply": bytes([UNKNOWN]) + ether(arp(2), OUR_MAC, 0x0806),
        "arp-lengths": bytes([UNKNOWN]) + ether(arp(1, 0x0404), BROADCAST, 0x0806),
        "arp-group-sender": bytes([UNKNOWN]) + ether(arp(2, sender=BROADCAST), OUR_MAC, 0x0806),
        "echo": packet(icmp(8, body=b"abcdefg"), REPAIR, protocol=1),
        "port-unreachable": packet(icmp(3, 3, body=quoted()), REPAIR, protocol=1),
        "fragmentation-needed": packet(icmp(3, 4, b"\0\0\5\x78", quoted()), REPAIR, protocol=1),
        "time-exceeded": packet(icmp(11, 0, body=quoted(options=b"\1" * 8)), REPAIR, protocol=1),
        "error-quotes-fragment": packet(icmp(3, 1, body=quoted(fragment=5)), REPAIR, protocol=1),
        "error-quotes-little": packet(icmp(3, 1, body=quoted()[:27]), REPAIR, protocol=1),
        "udp": packet(struct.pack("!HHHH", 5000, 53, 8, 0), protocol=17),
        "sctp-with-ip-options": packet(b"\1", protocol=132, options=b"\1" * 40),
        "ipv6": bytes([UNKNOWN]) + ether(b"\x60" + bytes(39), kind=0x86DD),
        "vlan": bytes([UNKNOWN]) + ether(b"\0\1\x08\0" + ip(plain), kind=0x8100),
        "runt": bytes([UNKNOWN]) + OUR_MAC,
    }


def options():
    return {
        "empty": b"",
        "syn": SYN_OPTIONS,
        "timestamps": TIMESTAMPS,
        "sack-block": TIMESTAMPS + bytes([1, 1, 5, 10]) + bytes(range(8)),
        "sack-blocks-4": bytes([1, 1, 5, 34]) + bytes(range(32)),
        "fast-open": SYN_OPTIONS + bytes([34, 10]) + bytes(range(8)) + bytes([1, 1]),
        "md5": bytes([1, 1, 19, 18]) + bytes(16),
        "mptcp": bytes([30, 12]) + bytes(10),
        "repeated": bytes([2, 4, 0, 100, 2, 4, 0, 200, 3, 3, 1, 3, 3, 2]),
        "end-in-front": bytes([0]) + SYN_OPTIONS[:19],
        "nops-40": bytes([1]) * 40,
        "length-0": bytes([2, 0, 0, 0]),
        "length-1": bytes([8, 1, 0, 0]),
        "length-255": bytes([254, 255, 0, 0]),
        "length-missing": bytes([1, 1, 1, 3]),
        "past-end-by-1": bytes([1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]),
        "mss-of-3": bytes([2, 3, 1, 1]),
        "scale-255": bytes([3, 3, 255, 0]),
        "unknown-to-the-end": bytes([254, 40]) + bytes(38),
    }


def main():
    corpus = pathlib.Path(__file__).resolve().parent / "corpus"
    for target, seeds in {"frame": frames(), "options": options()}.items():
        folder = corpus / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in seeds.items():
            (folder / f"{name}.bin").write_bytes(content)
        print(f"{target}: {len(seeds)} seeds")


if __name__ == "__main__":
    main()
