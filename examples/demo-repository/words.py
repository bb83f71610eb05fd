"""Counts words: the whole program of the demo's repository."""

import sys


def count_words(text: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for word in text.lower().split():
        counts[word] = counts.get(word, 0) + 1
    return counts


if __name__ == "__main__":
    for word, count in sorted(count_words(sys.stdin.read()).items()):
        print(f"{count:4} {word}")
