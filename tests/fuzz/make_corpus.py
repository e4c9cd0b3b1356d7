#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets into corpus/TARGET/ (always the same octets).

Each seed is one idea that a peer might have, named by its file. What a fuzzer finds later is added
by hand beside them, as found-WHAT.bin, and stays; edge-HASH.bin are those that a fuzzer kept
because they reach what no other does (libFuzzer's -set_cover_merge=1 -use_counters=0).
"""

import pathlib
import struct

OUR_MAC, PEER_MAC = bytes([2, 0, 0, 0, 0, 1]), bytes([2, 0, 0, 0, 0, 2])
BROADCAST = b"\xff" * 6
OUR_IP, PEER_IP = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
OUR_IP6 = bytes.fromhex("20010db8000000000000000000000001")
PEER_IP6 = bytes.fromhex("20010db8000000000000000000000002")
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


def ip6(inner, protocol=6, source=PEER_IP6, target=OUR_IP6, hops=64, length=None):
    length = len(inner) if length is None else length
    return struct.pack("!IHBB", 6 << 28, length, protocol, hops) + source + target + inner


def neighbor6(kind, target=OUR_IP6, option=b"", flags=0):
    return bytes([kind, 0, 0, 0]) + struct.pack("!I", flags) + target + option


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


def ipv6_frames():
    def packet(inner, **fields):
        return bytes([REPAIR]) + ether(ip6(inner, **fields), kind=0x86DD)

    group = bytes.fromhex("ff0200000000000000000001ff000001")
    router, all_nodes = bytes.fromhex("fe80" + "00" * 13 + "09"), bytes.fromhex("ff02" + "00" * 13
                                                                                + "01")
    mac = bytes([1, 1]) + PEER_MAC
    ours = ip6(tcp(ACK), source=OUR_IP6, target=PEER_IP6)
    prefix = bytes([3, 4, 64, 0xC0]) + bytes([0, 0, 1, 0]) * 2 + bytes(4) + OUR_IP6[:8] + bytes(8)
    advertisement = bytes([134, 0, 0, 0, 64, 0, 7, 8]) + bytes(8)
    return {
        "v6-syn": packet(tcp(SYN, options=SYN_OPTIONS)),
        "v6-data": packet(tcp(ACK | PSH, payload=b"GET / HTTP/1.1\r\n\r\n")),
        "v6-extensions": packet(bytes([60, 0, 5, 2, 0, 0, 1, 0]) + bytes([43, 0, 1, 4, 0, 0, 0, 0])
                                + bytes([44, 0, 0, 0, 0, 0, 0, 0]) + bytes([6, 0]) + bytes(6)
                                + tcp(ACK), protocol=0),
        "v6-fragment": packet(bytes([6, 0, 0, 1, 0, 0, 0, 7]) + tcp(ACK), protocol=44),
        "v6-routing-0": packet(bytes([6, 2, 0, 1]) + bytes(4) + PEER_IP6 + tcp(ACK), protocol=43),
        "v6-unknown-option": packet(bytes([6, 0, 0x9E, 4]) + bytes(4) + tcp(ACK), protocol=60),
        "v6-length-beyond": packet(tcp(ACK), length=2000),
        "v6-udp": packet(struct.pack("!HHHH", 5000, 53, 8, 0), protocol=17),
        "v6-sctp": packet(b"\1", protocol=132),
        "v6-echo": packet(bytes([128, 0, 0, 0]) + b"abcdefg", protocol=58),
        "v6-too-big": packet(bytes([2, 0, 0, 0, 0, 0, 5, 0]) + ours, protocol=58),
        "v6-solicitation": packet(neighbor6(135, option=mac), protocol=58, target=group, hops=255),
        "v6-detection": packet(neighbor6(135), protocol=58, target=group, hops=255,
                               source=bytes(16)),
        "v6-advertisement": packet(neighbor6(136, PEER_IP6, bytes([2, 1]) + PEER_MAC, 0x60000000),
                                   protocol=58, hops=255),
        "v6-router": packet(advertisement + mac + bytes([5, 1, 0, 0, 0, 0, 5, 120]) + prefix,
                            protocol=58, source=router, target=all_nodes, hops=255),
    }


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
        **ipv6_frames(),
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


def segments():
    # Octets as segments_fuzz.cc reads them: two for the host, then steps.
    def open_flow(flow=0, choice=0x07):
        return bytes([0x0E | flow << 4, choice])

    def segment(usual=0, flow=0, seq=0, ack=0, near_seq=None, near_ack=None, length=0, window=0,
                options=0x01, flags=None):
        where = seq | ack << 2
        rest = b""
        for bit, near in ((0x10, near_seq), (0x20, near_ack)):
            if near is not None:
                where |= bit
                rest += bytes([near])
        if length or window:
            where |= 0x40
            rest += bytes([length << 4 | window])
        head = bytes([flow | usual << 2]) if flags is None else bytes([0x80 | flow, flags])
        return b"\0" + head + bytes([where]) + rest + bytes([options])

    def burst(*parts):
        return bytes([0x04 | (len(parts) - 1) << 4]) + b"".join(part[1:] for part in parts)

    def command(deed, socket=0):
        return bytes([0x05 | deed << 4, socket])

    def in_call(call, deed):
        return bytes([0x08 | deed << 4, call])

    def wait(which):
        return bytes([0x07 | which << 4])

    # Names of segments_fuzz.cc's tables.
    ack, push, fin, syn, syn_ack, rst, rst_ack, fin_push = range(8)
    _, send, send_much, shutdown, close, abort, connect, resume = range(8)
    on_open, on_receive, on_fin, on_writable, on_close, on_poll = range(6)
    arp_reply, unreachable, plain, faults = b"\x0a\x00", b"\xfa\x80\x03", b"\0\0", b"\x5c"
    steps = {
        "passive-close": [open_flow(), segment(push, length=4), segment(fin), command(close),
                          segment(ack)],
        "active-close": [open_flow(), command(close), segment(ack), segment(fin), wait(7)],
        "both-close": [open_flow(), command(shutdown), segment(fin, ack=1), segment(ack), wait(7)],
        "fin-with-data": [open_flow(), command(shutdown), segment(fin_push, length=4)],
        "active-open": [open_flow(2), command(send_much), segment(ack, 2), segment(fin, 2)],
        "simultaneous-open": [b"\x0d", segment(syn, 2, seq=2) + b"\0",
                              segment(syn_ack, 2, seq=2) + b"\0"],
        "refused": [b"\x0d", segment(rst_ack, 2)],
        "unreachable": [b"\x0d", unreachable],
        "syn-flood": [segment(syn, 0, seq=2) + b"\0", segment(syn, 1, seq=2) + b"\0", wait(7)],
        "syn-reset": [segment(syn, seq=2) + b"\0", segment(rst)],
        "loss": [open_flow(), command(send_much), segment(ack, ack=1), segment(ack, ack=1),
                 segment(ack, ack=1), segment(ack, ack=1), wait(5), segment(ack)],
        "zero-window": [open_flow(), segment(ack, window=1), command(send_much), wait(5), wait(7),
                        segment(ack, window=5)],
        "small-window": [open_flow(), segment(ack, window=3), command(send_much), wait(5),
                         segment(ack)],
        "reassembly": [open_flow(), segment(push, near_seq=6, length=4),
                       segment(push, near_seq=5, length=4), segment(push, length=5), wait(3)],
        "data-behind-fin": [open_flow(), segment(push, near_seq=6, length=3), segment(fin),
                            command(close), segment(ack)],
        "window-full": [open_flow(), b"\x09"] + [segment(push, length=7)] * 4 + [command(resume)],
        "paused": [open_flow(), command(13), segment(push, length=4), command(shutdown),
                   segment(fin), command(close)],
        "burst": [burst(segment(syn, seq=2) + b"\0", segment(syn, 1, seq=2) + b"\0"), open_flow(),
                  burst(segment(push, length=4), segment(fin), segment(rst, near_seq=1))],
        "blind-reset": [open_flow(), segment(rst, near_seq=6), segment(rst, near_seq=2),
                        segment(syn, seq=0) + b"\0", segment(rst)],
        "old-timestamp": [open_flow(), segment(push, length=4, options=0x07),
                          segment(push, length=4, options=0x0B)],
        "time-wait-reopened": [open_flow(), command(close), segment(fin),
                               segment(syn, near_seq=6, options=0x75) + b"\0", segment(ack)],
        "time-wait-fin": [open_flow(), command(close), segment(fin), segment(fin, near_seq=2)],
        "time-wait-evicted": [open_flow(), open_flow(1), open_flow(2)] +
                             [part for i in range(3) for part in
                              (command(close, i), segment(fin, i))],
        "flags": [open_flow()] + [segment(flags=f, length=3) for f in (0, 1, 0x3F, 0x29, 0xFF, 2)],
        "echo-application": [in_call(on_receive, send), in_call(on_fin, close), open_flow(),
                             segment(push, length=4), segment(fin), segment(ack)],
        "closes-everywhere": [in_call(call, close) for call in range(6)] +
                             [open_flow(0, 0x17), segment(fin), segment(ack)],
        "aborts-in-receive": [in_call(on_receive, abort), in_call(on_close, connect), open_flow(),
                              segment(push, length=4)],
        "resumes-when-writable": [in_call(on_writable, resume), open_flow(), command(send_much),
                                  command(send_much), segment(push, ack=1, length=4), segment(ack)],
        "transmit-trouble": [faults, open_flow(), command(send_much), segment(push, length=4),
                             wait(5), segment(fin)],
        "connects-in-poll": [in_call(on_poll, connect), wait(1), wait(5), wait(7)],
        "icmp-and-arp": [open_flow(), command(send), unreachable, b"\xfa\x08\0", arp_reply],
        # The neighbour has failed by the time of the second SYN, and the RST lets go of it.
        "nobody-there": [segment(syn, 1, seq=2) + b"\0", wait(6), wait(5), wait(5),
                         burst(segment(syn, 1, seq=2) + b"\0", segment(rst, 1)), wait(7)],
        "raw-frame": [b"\x0b\x20" + bytes(range(32))],
    }
    seeds = {name: plain + b"".join(parts) for name, parts in steps.items()}
    seeds["arp-needed"] = b"\x08\0" + open_flow(2) + arp_reply + open_flow() + wait(7)
    seeds["wrap"] = b"\x10\0" + seeds["both-close"][2:]
    seeds["one-connection"] = b"\0\x0f" + b"".join(steps["time-wait-evicted"])
    seeds["no-options"] = b"\x27\0" + seeds["loss"][2:]
    return seeds


def fragments():
    def piece(which, begin, length, more=True, ce=False):  # begin and length in 8 octets
        return bytes([which | more << 2 | ce << 3, begin, length - 1])
    halves = [piece(which, 0, 60) + piece(which, 60, 65, False) for which in range(4)]
    raw = ether(ip(bytes(32), 17, fragment=0x2000)), ether(ip(bytes(8), 17, fragment=4))
    return {
        "in-order": b"".join(halves),
        "reverse": b"".join(half[3:] + half[:3] for half in halves),
        "sixteen": b"".join(piece(0, 8 * i, 8, i < 15) for i in range(16)),
        "seventeen": b"".join(piece(2, 4 * i, 4) for i in range(17)),
        "overlap": piece(1, 0, 60) + piece(1, 59, 66, False) + halves[1],
        "marked": piece(3, 0, 60, ce=True) + piece(3, 60, 65, False),
        "evicted": b"".join(half[:3] for half in halves) + halves[0],
        "too-late": halves[0][:3] + b"\xfd\xfd\xfd" + halves[0][3:],
        "raw": b"".join(b"\xff" + bytes([len(frame)]) + frame for frame in raw),
    }


def main():
    corpus = pathlib.Path(__file__).resolve().parent / "corpus"
    targets = {"frame": frames(), "fragments": fragments(), "options": options(),
               "segments": segments()}
    for target, seeds in targets.items():
        folder = corpus / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in seeds.items():
            (folder / f"{name}.bin").write_bytes(content)
        print(f"{target}: {len(seeds)} seeds")


if __name__ == "__main__":
    main()
