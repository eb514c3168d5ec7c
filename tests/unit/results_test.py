#!/usr/bin/python3
"""tests/run-one, tests/summary, tests/machine/run and .ci/run: however a test
ends, the last line tells the result, and a status of 0 is for success alone.

Prints a line "PASS name" or "FAIL name" for each test.
"""

import fcntl
import os
import resource
import shutil
import signal
import subprocess
import time

import scripted

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
RUN_ONE = os.path.join(TOP, "tests", "run-one")
SUMMARY = os.path.join(TOP, "tests", "summary")


def logged(directory, script):
    """(exit status of run-one, what is in the log) for a shell script."""
    log = os.path.join(directory, "log")
    run = subprocess.run([RUN_ONE, "name", log, "sh", "-c", script],
                         stdout=subprocess.DEVNULL)
    with open(log) as f:
        return run.returncode, f.read()


def test_passes_or_fails_as_a_whole(directory):
    return logged(directory, "true") == (0, "PASS name\n") and \
        logged(directory, "exit 3") == (0, "FAIL name: exit status 3\n")


def test_dies_after_it_has_passed(directory):
    return logged(directory, "echo PASS one; kill -KILL $$") == \
        (0, "PASS one\nKilled\nFAIL name: exit status 137\n")


def test_says_itself_what_failed(directory):
    return logged(directory, "echo FAIL one; echo PASS two; exit 1") == \
        (0, "FAIL one\nPASS two\n")


def test_is_not_told_on_a_full_disk(directory):
    """No log is no success. Here no file may grow, and no signal says so."""
    log = os.path.join(directory, "log")

    def full():
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    return all(subprocess.run(
        [RUN_ONE, "name", log, "sh", "-c", script], preexec_fn=full,
        restore_signals=False, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL).returncode
        for script in ("true", "echo PASS one", "exit 1")) and \
        not os.path.exists(log)


def until(condition):
    """What hangs is ended by who has started this."""
    while not condition():
        time.sleep(0.01)
    return True


def test_ends_with_its_runner(directory):
    pipe = os.path.join(directory, "pipe")
    os.mkfifo(pipe)
    with subprocess.Popen([RUN_ONE, "name", os.path.join(directory, "log"),
                           "sh", "-c", f"exec sleep 600 > {pipe}"]) as p:
        with open(pipe) as f:
            p.terminate()
            return f.read() == ""       # the other end is closed


def test_summary(directory):
    log = os.path.join(directory, "log")
    for text, status, out in (
            ("PASS a\nPASS b\n", 0, "2 passed, 0 failed\n"),
            ("PASS a\nFAIL b: why\n", 1, "FAIL b: why\n1 passed, 1 failed\n"),
            ("", 1, "0 passed, 0 failed\n")):
        with open(log, "w") as f:
            f.write(text)
        run = subprocess.run([SUMMARY, log], capture_output=True, text=True)
        if (run.returncode, run.stdout) != (status, out):
            return False
    return True


def tree(directory, recipe):
    """A tree whose tests are @recipe."""
    os.makedirs(f"{directory}/tests")
    shutil.copytree(f"{TOP}/.ci", f"{directory}/.ci")
    shutil.copy(SUMMARY, f"{directory}/tests")
    with open(f"{directory}/Makefile", "w") as f:
        f.write("test:\n\t@mkdir -p build/logs\n" + "".join(
            f"\t@{line}\n" for line in recipe))
    return [f"{directory}/.ci/run"]


def environment():
    """As without a make above it."""
    return {k: v for k, v in os.environ.items()
            if not k.startswith(("MAKE", "MFLAGS"))}


ONE_FAILS = ("echo PASS a > build/logs/a.log", "echo FAIL b > build/logs/b.log",
             "tests/summary build/logs/*.log")


def test_ci_ends_with_the_result(directory):
    for name, recipe, good, last in (
            ("good", ("echo PASS a > build/logs/a.log",
                      "tests/summary build/logs/*.log"),
             True, "1 passed, 0 failed"),
            ("one_fails", ONE_FAILS, False, "1 passed, 1 failed"),
            ("no_build", ("false",), False, "0 passed, 1 failed"),
            ("no_summary", ("echo PASS a > build/logs/a.log", "false"),
             False, "1 passed, 1 failed"),
            ("broken_off", ("echo PASS a > build/logs/a.log.new",
                            "kill -KILL $$PPID"),
             False, "1 passed, 1 failed")):
        run = subprocess.run(tree(f"{directory}/{name}", recipe),
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True, env=environment() | {"B": "/none"})
        if good != (run.returncode == 0) or \
                run.stdout.splitlines()[-1] != last:
            print(name, run)
            return False
    return True


def test_ci_is_stopped(directory):
    """By a signal for it alone, or from the keyboard."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        where = f"{directory}/{int(number)}"
        with subprocess.Popen(
                tree(where, ("echo PASS a > build/logs/a.log",
                             "touch begun; exec sleep 600")),
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                env=environment()) as p:
            until(lambda: os.path.exists(f"{where}/begun"))
            p.send_signal(number)
            out = p.communicate()[0]
        if not p.returncode or out.splitlines()[-1] != "1 passed, 1 failed":
            print(number, p.returncode, out)
            return False
    return True


def test_machines_of_another_run(directory):
    """Both would use the same disks and sockets."""
    work = os.path.join(directory, "machine")
    os.mkdir(work)
    with open(os.path.join(work, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run = subprocess.run(
            [os.path.join(TOP, "tests", "machine", "run"), "--bare", "--only",
             "refuse-no-svm-amd"], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, env=environment() |
            {"B": directory})
    return run.returncode == 1 and \
        run.stdout == f"another run works in {work}\n"


if __name__ == "__main__":
    scripted.main(globals(), "results_")
