"""What golden model and hardware both read, a second time: the dither's constants, and numpy's generator.

The literals come from a C program of a dozen lines that knows nothing of fregen; the generator is PCG64 (XSL-RR) with
numpy's seed sequence, from their publications, in plain Python integers.
"""

MASK32, MASK64, MASK128 = (1 << 32) - 1, (1 << 64) - 1, (1 << 128) - 1

COLUMN_WORDS = (
    0xF2ADBBAF, 0x46EA7191, 0x268A56BC, 0xA9CDF49D, 0x8D219E6F, 0x590D22C8, 0x52DE38ED, 0xD4D02589, 0xF9A8CF9F,
    0x37585015, 0x1F4F3F94, 0x74B57F9D, 0x538D2A8E, 0xED95AF30, 0xCA9C72DF, 0xA4E6C942, 0xB90EA0B3, 0x6829BBFB,
)  # fmt: skip
ROW_WORDS = (
    0x9C324B27, 0x523EC7E4, 0x42CC32FD, 0x0B30D077, 0xB3939251, 0x058F8572,
    0x0C2025BE, 0x535929AF, 0x502BB6BE, 0x1DCA89AE, 0x1EEC1B37, 0xB27C8DF8,
)  # fmt: skip
FIRST_KEYS = {0: 0xC66D3A1F, 1: 0x907EE7C3, 7: 0x3D8E3726, 123456789: 0xCE9CAFCE, 2147483647: 0x9A1EEC6B}
"""Key of the first update, by seed."""
DITHERS = (
    (0x00000001, 0, 0, 0xB6EB), (0xDEADBEEF, 1, 1, 0xC7F3), (0x12345678, 511, 63, 0x9102),
    (0xFFFFFFFF, 262143, 4095, 0x5731), (0x0BADCAFE, 70000, 2500, 0xA073), (0x87654321, 12, 800, 0x701F),
)  # fmt: skip
"""Key, column, row, dither word."""


def next_key(key):
    """Xorshift32 with Marsaglia's 13, 17, 5."""
    key = (key ^ (key << 13)) & MASK32
    key = key ^ (key >> 17)
    return (key ^ (key << 5)) & MASK32


def first_key(seed):
    key = (seed * 2654435761 + 2246822507) % 2**32 or 1
    for _ in range(8):
        key = next_key(key)
    return key


def dither(key, column, row):
    h = key
    for bit, word in enumerate(COLUMN_WORDS):
        h ^= word * (column >> bit & 1)
    h = h * 1025 & MASK32
    h ^= h >> 6
    h = h * 9 & MASK32
    h ^= h >> 11
    h = h * 32769 & MASK32
    for bit, word in enumerate(ROW_WORDS):
        h ^= word * (row >> bit & 1)
    return (h + (h >> 16)) & 0xFFFF


def seed_words(entropy, count):
    """Numpy's SeedSequence (O'Neill's seed_seq_fe with four words): 32-bit words from at most four numbers."""
    pool, constant = [0, 0, 0, 0], 0x43B0D7E5

    def hashed(word):
        nonlocal constant
        word ^= constant
        constant = constant * 0x931E8875 & MASK32
        word = word * constant & MASK32
        return word ^ word >> 16

    for k in range(4):
        pool[k] = hashed(entropy[k] if k < len(entropy) else 0)
    for source in range(4):
        for target in range(4):
            if source != target:
                mixed = (pool[target] * 0xCA01F9DD - hashed(pool[source]) * 0x4973F715) & MASK32
                pool[target] = mixed ^ mixed >> 16
    words, constant = [], 0x8B51F9DD
    for k in range(count):
        word = pool[k % 4] ^ constant
        constant = constant * 0x58F38DED & MASK32
        word = word * constant & MASK32
        words.append(word ^ word >> 16)
    return words


def uniforms(entropy, count):
    """Uniform numbers in [0, 1) as ``numpy.random.default_rng(entropy).random(count)`` draws them."""
    words = seed_words(entropy, 8)
    high, low, top, bottom = (words[2 * k] | words[2 * k + 1] << 32 for k in range(4))
    step = ((top << 64 | bottom) << 1 | 1) & MASK128
    factor = 0x2360ED051FC65DA44385DF649FCCF645
    state = ((step + (high << 64 | low)) * factor + step) & MASK128
    drawn = []
    for _ in range(count):
        state = (state * factor + step) & MASK128
        word, turn = (state >> 64 ^ state) & MASK64, state >> 122
        word = (word >> turn | word << (64 - turn)) & MASK64
        drawn.append((word >> 11) / 2**53)
    return drawn


def drawn_pairs(hidden, probability, seed):
    """Connections between hidden layers that the topology ``random`` adds to the chain: (source, target)."""
    numbers = uniforms([seed, 5], hidden * hidden)
    return {
        (s + 1, t + 1) for s in range(hidden) for t in range(hidden) if s != t and numbers[s * hidden + t] < probability
    }
