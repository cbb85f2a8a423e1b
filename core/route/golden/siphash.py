#!/usr/bin/env python3
"""SipHash-1-3 from its paper (Aumasson, Bernstein: SipHash, a fast short-input PRF), independent of the Rust code.

Prints golden/siphash.json: `python3 golden/siphash.py > golden/siphash.json`. Checks itself against CPython, whose
`hash(bytes)` is SipHash-1-3 since 3.11, with a zero key under PYTHONHASHSEED=0.
"""
import json, os, subprocess, sys

MASK = (1 << 64) - 1


def siphash13(key: bytes, data: bytes) -> int:
    k0, k1 = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]
    rotl = lambda x, b: (x << b | x >> 64 - b) & MASK

    def rounds(count):
        for _ in range(count):
            v[0] = (v[0] + v[1]) & MASK; v[1] = rotl(v[1], 13) ^ v[0]; v[0] = rotl(v[0], 32)
            v[2] = (v[2] + v[3]) & MASK; v[3] = rotl(v[3], 16) ^ v[2]
            v[0] = (v[0] + v[3]) & MASK; v[3] = rotl(v[3], 21) ^ v[0]
            v[2] = (v[2] + v[1]) & MASK; v[1] = rotl(v[1], 17) ^ v[2]; v[2] = rotl(v[2], 32)

    padded = data + bytes(-(len(data) + 1) % 8) + bytes([len(data) & 255])
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at:at + 8], "little")
        v[3] ^= word; rounds(1); v[0] ^= word
    v[2] ^= 255; rounds(3)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def check_against_cpython():
    data = [bytes(range(length)) for length in range(1, 64)]
    program = "print([hash(bytes(range(n))) & (1 << 64) - 1 for n in range(1, 64)])"
    run = [sys.executable, "-c", program]
    theirs = json.loads(subprocess.check_output(run, env={**os.environ, "PYTHONHASHSEED": "0"}))
    assert sys.hash_info.algorithm == "siphash13" and theirs == [siphash13(bytes(16), it) for it in data]


def bucket(salt: str, key: str):
    digest = siphash13(bytes.fromhex(salt), key.encode())
    return {"salt": salt, "key": key, "hash": f"{digest:016x}", "bucket": digest % 10_000}


check_against_cpython()
KEY = "000102030405060708090a0b0c0d0e0f"
SALTS = [KEY, "ffeeddccbbaa99887766554433221100"]
KEYS = ["alice", "bob", "", "user-42", "ünïcode", "0123456789abcdef0123456789abcdef"]
print(json.dumps({
    "key": KEY,
    "hashes": [f"{siphash13(bytes.fromhex(KEY), bytes(range(n))):016x}" for n in range(64)],
    "buckets": [bucket(salt, key) for salt in SALTS for key in KEYS],
}, indent=1, ensure_ascii=False))
