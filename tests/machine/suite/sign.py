"""The sign program, shojictl and the PKCS#11 module, from a Linux guest."""

import functools
import json
import os
import re
import subprocess
import threading
import time

import case as cases
from case import ROOT, TOP, Fail, case, shoji_image

build_lock = threading.Lock()
OBJECTS = os.path.join(cases.WORK, "sdk")
MODULE = "/lib/shoji-pkcs11.so"
TOOLS = ("openssl", "pkcs11-tool", "ssh-keygen")
ENGINE = "/usr/lib/x86_64-linux-gnu/engines-3/pkcs11.so"
ENGINE_CONF = f"""openssl_conf = top
[top]
engines = engines
[engines]
pkcs11 = pkcs11
[pkcs11]
engine_id = pkcs11
MODULE_PATH = {MODULE}
"""
ROOT_MIB = 48
LIMIT = 2400                    # seconds, for the unluckiest of RSA keys
MADE = ("guest/shojictl", "guest/shoji-pkcs11.so", "tests/signer",
        "programs/sign.elf", "programs/echo.elf", "programs/clock.elf",
        "programs/buffer.elf", "programs/region.elf", "tests/reverse",
        "tests/latency")


@functools.cache
def build_all():
    run = subprocess.run(
        ["make", "-s", "-C", TOP, f"B={OBJECTS}"] +
        [os.path.join(OBJECTS, m) for m in MADE],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if run.returncode:
        raise Fail("make:\n" + run.stdout.decode(errors="replace"))


def made(name):
    """The path of what make builds: everything at once, once a run."""
    with build_lock:
        build_all()
    return os.path.join(OBJECTS, name)


def read(name):
    with open(made(name), "rb") as f:
        return f.read()


def config(allow="user"):
    toml = ROOT.toml() + f'[hypercall]\nallow = "{allow}"\n'
    # the keys are made before the first message: in Bochs that takes long
    for name, memory, more in (("sign", 6144, "time_ms = 600000\n"),
                               ("echo", 1024, ""), ("clock", 1024, "")):
        toml += (f'[[program]]\nname = "{name}"\n'
                 f'file = "{made("programs/" + name + ".elf")}"\n'
                 f'memory_kib = {memory}\nmessages = 4\ncallers = "user"\n'
                 + more)
    return toml


def boot_disk(t, script, allow="user", bare=False, tools=(), parts=(),
              volumes=()):
    """A guest that runs @script beside the programs; @volumes: in addition to
    the root."""
    with open(ENGINE, "rb") as f:
        engine = f.read()
    files = {
        "bin/shojictl": read("guest/shojictl"),
        "bin/signer": read("tests/signer"),
        "bin/latency": read("tests/latency"),
        "lib/shoji-pkcs11.so": read("guest/shoji-pkcs11.so"),
        ENGINE[1:]: engine,
        "etc/engine.cnf": ENGINE_CONF,
        "etc/passwd": "root:x:0:0::/:/bin/sh\n",
    }
    return t.boot_disk(script, tools=TOOLS + tools, files=files,
                       root_mib=ROOT_MIB, parts=parts,
                       bare=bare or t.bare,
                       shoji=None if t.bare or bare else
                       shoji_image("".join(v.toml() for v in volumes) +
                                   config(allow)))


def guest(t, script, allow="user", bare=False, tools=(), parts=(), volumes=(),
          **more):
    """Runs the guest of boot_disk()."""
    disk = boot_disk(t, script, allow, bare, tools, parts, volumes)
    return t.linux([disk], limit=LIMIT, **more)


# "status N COMMAND...": its exit status has to be N, and it says why.
FUNCTIONS = r"""
status() {
	want=$1
	shift
	"$@" >/tmp/stdout 2>/tmp/stderr
	got=$?
	if [ $got = $want ]; then
		echo "@@ ok status $*"
	else
		echo "@@ FAIL status $*: $got, not $want"
		cat /tmp/stdout /tmp/stderr
	fi
}
show() {
	name=$1
	shift
	echo "@@ begin $name"
	"$@"
	echo "@@ end-of $name $?"
}
cd /tmp
"""


def shown(t, result, name):
    m = re.search(rf"@@ begin {name}\r?\n(.*?)@@ end-of {name} (\d+)",
                  result.console, re.S)
    t.true(f"{name} is not in the console's log", m)
    t.equal(f"{name}: exit status", m[2], "0")
    return m[1].replace("\r", "")


# ---- shojictl ------------------------------------------------------------

CTL = FUNCTIONS + r"""
echo hello >hello
dd if=/dev/urandom of=noise bs=1k count=64 2>/dev/null
dd if=/dev/zero of=toolong bs=1 count=1 seek=65536 2>/dev/null
show status shojictl status
show log shojictl log
show stat shojictl stat
show json shojictl stat --json
show ps shojictl ps
shojictl log -f >follows &
until grep -q "Shoji" follows; do sleep 0.1; done
kill $!
wait $!
check follows test $? = 143
status 0 shojictl send echo hello
check echo cmp hello stdout
status 0 shojictl send -o back echo noise
check echo64k cmp noise back
status 0 sh -c "shojictl send echo - <hello | cmp - hello"
status 5 shojictl send -t 9 echo hello
check type grep -q "echo: status 9" stderr
status 4 shojictl send nothing hello
status 4 shojictl send echo toolong
status 2 shojictl send echo missing
status 2 shojictl send -o /nowhere/x echo hello
status 0 shojictl send -o times clock hello
check clock test $(wc -c <times) = 32
status 0 shojictl --help
status 1 shojictl
status 1 shojictl stat --xml
status 1 shojictl ps all
show after shojictl ps
"""


@case(vendor=("amd", "intel"), cpus=(1, 2), weight=40)
def shojictl(t):
    """Every command, under Shoji."""
    if t.bare:
        return
    result = guest(t, CTL)
    out = shown(t, result, "status")
    for want in (r"Shoji    \S", rf"runs on  .+, {t.cpus} CPUs",
                 r"uptime   0 d 00:\d\d:\d\d", r"memory   \d+ KiB are hidden",
                 rf"volume   root: sectors {ROOT.first}-{ROOT.last}, AES-256, "
                 r"read [1-9]\d* KiB, written \d+ KiB",
                 "program  sign: ", "program  echo: ", "program  clock: "):
        t.true(f"status: no {want!r} in {out!r}", re.search(want, out))
    t.true("log: nothing of the start", "Shoji" in shown(t, result, "log"))
    stat = json.loads(shown(t, result, "json"))
    t.equal("stat: CPUs", [c["cpu"] for c in stat["cpus"]],
            list(range(t.cpus)))
    t.true("stat: hypercalls", stat["cpus"][0]["exits"]["hypercall"] > 0 or
           stat["cpus"][-1]["exits"]["hypercall"] > 0)
    for cpu in stat["cpus"]:
        t.equal("stat: total", cpu["total"], sum(cpu["exits"].values()))
    t.true("stat: CPU 0", "CPU 0: " in shown(t, result, "stat"))
    t.equal("ps: programs", re.findall(r"^(\w+) ", shown(t, result, "ps"),
                                       re.M)[1:], ["sign", "echo", "clock"])
    echo = re.search(r"^echo .*", shown(t, result, "after"), re.M)[0].split()
    # name state restarts KiB answered queued slices seconds for
    t.equal("ps: echo", (echo[2], echo[4], echo[5], echo[8]),
            ("0", "5", "0", "user"))


ABSENT = FUNCTIONS + r"""
echo hello >hello
for c in status log "log -f" stat "stat --json" ps "send echo hello" \
	"sign hello" "sign --public"; do
	status 3 shojictl $c
	check absent grep -qx "shojictl: not running under Shoji" stderr
	check silent test ! -s stdout
done
status 0 shojictl --help
status 0 pkcs11-tool --module """ + MODULE + r""" -L
check empty grep -q "(empty)" stdout
status 1 pkcs11-tool --module """ + MODULE + r""" --test
"""


@case(vendor=("amd", "intel"), cpus=(1,), weight=25)
def shojictl_absent(t):
    """The same programs on the machine itself."""
    guest(t, ABSENT, bare=True)


@case(vendor=("amd", "intel"), cpus=(1,), weight=25)
def shojictl_refused(t):
    """Under a Shoji that does not answer user mode: as if it were not there."""
    if not t.bare:
        guest(t, ABSENT, allow="kernel")


# ---- signatures ----------------------------------------------------------

# Bochs' clock is behind the certificates'. How long the keys take is chance: in
# Bochs more than the minutes that shojictl waits for an answer, at times.
SIGN = FUNCTIONS + f"date -s @{int(time.time()) + 86400} >/dev/null" + r"""
check keys signer batch 1
verify() {
	openssl dgst -sha256 -verify $1 -signature $2 $3
}
for i in 1 2 3 4; do
	echo "text $i" >f$i
done
openssl dgst -sha256 -binary f1 >digest
shojictl sign --certifier -o ca.pem
for k in rsa p256; do
	status 0 shojictl sign --key $k --public -o $k.pem
	status 0 shojictl sign --key $k --statement -o $k.cert
	check statement-$k openssl verify -CAfile ca.pem $k.cert
	check same-key-$k sh -c \
		"openssl x509 -in $k.cert -noout -pubkey | cmp - $k.pem"
	status 0 shojictl sign --key $k -o sig f1
	check single-$k verify $k.pem sig f1
	status 1 verify $k.pem sig f2
	status 0 shojictl sign --key $k --digest -o sig digest
	check digest-$k verify $k.pem sig f1
	status 0 shojictl sign --key $k f1 f2 f3 f4
	for i in 1 2 3 4; do
		check batch-$k-$i verify $k.pem f$i.sig f$i
	done
done
status 0 shojictl sign --pss --hash sha384 -o sig f1
check pss openssl dgst -sha384 -sigopt rsa_padding_mode:pss \
	-sigopt rsa_pss_saltlen:digest -verify rsa.pem -signature sig f1
status 5 shojictl sign --digest f1
status 5 shojictl sign --program echo f1
check batch signer batch 100
check cancel signer cancel
"""
RATE = """
show rate signer rate 500
show empty signer empty 200
"""

PKCS11 = r"""
M=""" + MODULE + r"""
export OPENSSL_CONF=/etc/engine.cnf
echo "some text" >text
status 0 pkcs11-tool --module $M --test
check works grep -q "all 4 signature functions seem to work" stdout
check none grep -q "No errors" stdout
id() {
	[ $1 = rsa ] && echo 01 || echo 02
}
for k in rsa p256; do
	status 0 pkcs11-tool --module $M -r --type cert --id $(id $k) -o $k.der
	status 0 openssl x509 -inform der -in $k.der -noout -pubkey
	cp stdout $k.pem
	status 0 openssl dgst -sha256 -engine pkcs11 -keyform engine -sign \
		"pkcs11:token=Shoji;id=%$(id $k);type=private" -out sig text
	check engine-$k openssl dgst -sha256 -verify $k.pem -signature sig text
	status 1 openssl dgst -sha256 -verify $k.pem -signature sig $k.pem
done
status 0 pkcs11-tool --module $M --sign -m ECDSA-SHA256 --id 02 -i text \
	-o sig --signature-format openssl
check pkcs11-p256 openssl dgst -sha256 -verify p256.pem -signature sig text
ssh-keygen -q -t ed25519 -N "" -f user
ssh-keygen -D $M >keys
check ssh-keys test $(grep -c "^ssh-rsa\|^ecdsa-sha2-nistp256" keys) -ge 2
for kind in ssh-rsa ecdsa-sha2-nistp256; do
	grep "^$kind" keys | head -n 1 >ca.pub
	status 0 ssh-keygen -q -D $M -s ca.pub -I me user.pub
	check cert-$kind grep -q "cert-v01" user-cert.pub
	rm user-cert.pub
done
"""


@case(vendor=("amd", "intel"), cpus=(1, 2), weight=60)
def sign(t):
    """Single and in batches, cancelled, through the PKCS#11 module by
    pkcs11-tool, openssl and ssh-keygen; and against libcrypto in the guest.
    One guest for all: the program's keys take longest."""
    if t.bare:
        return
    rate = t.vendor == "amd"    # the other one is too slow to say anything
    result = guest(t, SIGN + PKCS11 + RATE * rate +
                   "show ps shojictl ps\n")
    line = re.search(r"^sign .*", shown(t, result, "ps"), re.M)[0].split()
    t.equal("restarts and messages left", (line[2], line[5]), ("0", "0"))
    t.true("the program has not said that it is ready",
           "sign: keys are made" in result.shoji)
    if rate:
        note_rates(t, result)


def note_rates(t, result):
    rates = re.findall(r"@@ rate .*", result.console)
    t.equal("rates", len(rates), 8)
    for line in rates:
        t.note(line.strip())
    t.note(re.search(r"@@ empty .*", result.console)[0])
