#!/usr/bin/env python3
"""Runs the scenarios: the built gateway, real sockets, real programs.

    Tests/Scenario/run.py                    every topic
    Tests/Scenario/run.py http1 reload       some topics
    Tests/Scenario/run.py -k pipelin -v      tests whose name holds a word, each with its time

The last line is "N passed, N failed".
"""

import argparse
import pathlib
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
TOPICS = ["http1", "limits", "tls", "balance", "dns", "outside", "match", "chaos", "programs", "reload", "edges",
          "websocket", "http2", "h2flow", "grpc_calls", "stream",
          "expressions", "feed"]


class Outcome(unittest.TestResult):
    """Prints a line for each failure as it happens, and counts."""

    def __init__(self, verbose):
        super().__init__()
        self.verbose, self.passed, self.failed, self.times = verbose, 0, 0, []

    def startTest(self, test):
        super().startTest(test)
        self.bad = False
        self.began = time.monotonic()

    def name(self, test):
        if not isinstance(test, unittest.TestCase) or not hasattr(test, "_testMethodName"):
            return str(test)
        return f"{type(test).__module__}.{type(test).__name__}.{test._testMethodName}"

    def report(self, test, error):
        self.bad = True
        print(f"FAIL {self.name(test)}\n{self._exc_info_to_string(error, test)}", flush=True)

    def addFailure(self, test, error):
        self.report(test, error)

    def addError(self, test, error):
        if not isinstance(test, unittest.TestCase) or not hasattr(self, "bad"):
            self.failed += 1  # A class or module that could not be set up.
        self.report(test, error)

    def addSubTest(self, test, subtest, error):
        if error is not None:
            print(f"  in {subtest._subDescription()}")
            self.report(test, error)

    def stopTest(self, test):
        took = time.monotonic() - self.began
        self.times.append((took, self.name(test)))
        if self.bad:
            self.failed += 1
        else:
            self.passed += 1
            if self.verbose:
                print(f"ok   {took:5.2f} s  {self.name(test)}", flush=True)
        super().stopTest(test)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help=" ".join(TOPICS))
    parser.add_argument("-k", metavar="WORD", action="append", help="tests whose name holds this")
    parser.add_argument("-v", "--verbose", action="store_true", help="print tests that pass too")
    options = parser.parse_args()
    loader = unittest.TestLoader()
    if options.k:
        loader.testNamePatterns = [f"*{word}*" for word in options.k]
    outcome = Outcome(options.verbose)
    started = time.monotonic()
    for topic in options.topics or TOPICS:
        if not (HERE / f"{topic}.py").exists():
            print(f"no topic {topic!r}; there are {' '.join(TOPICS)}")
            return 2
        loader.loadTestsFromName(topic).run(outcome)
        # unittest would tear this topic's last class down once more before the next topic's first.
        outcome._previousTestClass = None
    if options.verbose:
        print("slowest:", *[f"{s:6.2f} s  {n}" for s, n in sorted(outcome.times, reverse=True)[:8]], sep="\n  ")
    print(f"scenarios: {time.monotonic() - started:.0f} s")
    print(f"{outcome.passed} passed, {outcome.failed} failed")
    return 0 if outcome.passed and not outcome.failed else 1


if __name__ == "__main__":
    sys.exit(main())
