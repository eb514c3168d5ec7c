#!/usr/bin/python3
"""The PKCS#11 module with the tools that it is for, on the host: the module
talks to the sign program itself, which tools/sdk/run executes here."""

import base64
import os
import shutil
import socketserver
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
B = os.path.abspath(os.environ.get("B") or os.path.join(TOP, "build"))
MODULE = os.path.join(B, "tests/pkcs11-socket.so")
ENGINE = f"""openssl_conf = top
[top]
engines = engines
[engines]
pkcs11 = pkcs11
[pkcs11]
engine_id = pkcs11
MODULE_PATH = {MODULE}
"""
DATA = b"to be signed\n"
RSA, P256 = "01", "02"
PSS = ("--mgf", "MGF1-SHA256", "--salt-len", "32")


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """One program for all processes that load the module."""
    daemon_threads = True

    def __init__(self, path):
        self.lock = threading.Lock()
        self.child = subprocess.Popen(
            [f"{B}/sdk/run", "--pipe", f"{B}/programs/sign.elf"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL)
        super().__init__(path, Connection)

    def exchange(self, message):
        with self.lock:
            self.child.stdin.write(message)
            self.child.stdin.flush()
            head = self.child.stdout.read(8)
            return head + self.child.stdout.read(struct.unpack("<II", head)[1])


class Connection(socketserver.StreamRequestHandler):
    def handle(self):
        while head := self.rfile.read(8):
            size = struct.unpack("<II", head)[1]
            self.wfile.write(self.server.exchange(
                head + self.rfile.read(size)))


def ssh_string(data, at):
    size = struct.unpack_from(">I", data, at)[0]
    return data[at + 4:at + 4 + size], at + 4 + size


class Module(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        with open(cls.path("openssl.cnf"), "w") as f:
            f.write(ENGINE)
        with open(cls.path("data"), "wb") as f:
            f.write(DATA)
        with open(cls.path("digest"), "wb") as f:
            h = hashes.Hash(hashes.SHA256())
            h.update(DATA)
            f.write(h.finalize())
        cls.env = dict(os.environ, OPENSSL_CONF=cls.path("openssl.cnf"),
                       SHOJI_TEST_SOCKET=cls.path("socket"))
        cls.server = Server(cls.path("socket"))
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()
        cls.server.child.stdin.close()
        cls.server.child.wait()
        cls.server.child.stdout.close()
        shutil.rmtree(cls.folder)

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name)

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def tool(self, *command, good=True, **env):
        run = subprocess.run(command, cwd=self.folder, env={**self.env, **env},
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        out = run.stdout.decode(errors="replace")
        self.assertEqual(run.returncode == 0, good,
                         f"{' '.join(command)}:\n{out}")
        return out

    def pkcs11(self, *args, **more):
        return self.tool("pkcs11-tool", "--module", MODULE, *args, **more)

    def public_key(self, key):
        """By way of the statement, which has to be the certifier's."""
        for name, id in (("cert", key), ("root", "03")):
            self.pkcs11("-r", "--type", "cert", "--id", id, "-o", name + ".der")
            self.tool("openssl", "x509", "-inform", "der", "-in", name + ".der",
                      "-out", name + ".pem")
        self.tool("openssl", "verify", "-CAfile", "root.pem", "cert.pem")
        self.pkcs11("-r", "--type", "pubkey", "--id", key, "-o", "pub.der")
        self.tool("openssl", "x509", "-in", "cert.pem", "-pubkey", "-noout",
                  "-out", "pub.pem")
        self.tool("openssl", "pkey", "-pubin", "-inform", "der", "-in",
                  "pub.der", "-out", "pub2.pem")
        self.assertEqual(self.read("pub.pem"), self.read("pub2.pem"))
        return serialization.load_pem_public_key(self.read("pub.pem"))

    def sign(self, key, mechanism, *args, data="data"):
        self.pkcs11("--sign", "--id", key, "-m", mechanism, *args, "-i", data,
                    "-o", "sig", "--signature-format", "openssl")
        return self.read("sig")

    def test_tool(self):
        out = self.pkcs11("--test")
        self.assertIn("all 4 signature functions seem to work", out)
        self.assertIn("SHA256-RSA-PKCS: OK", out)
        self.assertIn("No errors", out)

    def test_rsa(self):
        pub = self.public_key(RSA)
        for name, h in (("SHA256", hashes.SHA256()),
                        ("SHA384", hashes.SHA384()),
                        ("SHA512", hashes.SHA512())):
            pub.verify(self.sign(RSA, name + "-RSA-PKCS"), DATA,
                       padding.PKCS1v15(), h)
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
        pub.verify(self.sign(RSA, "SHA256-RSA-PKCS-PSS", *PSS), DATA, pss,
                   hashes.SHA256())
        pub.verify(self.sign(RSA, "RSA-PKCS-PSS", "--hash-algorithm", "SHA256",
                             *PSS, data="digest"), DATA, pss, hashes.SHA256())

    def test_p256(self):
        pub = self.public_key(P256)
        for name, h in (("SHA256", hashes.SHA256()),
                        ("SHA384", hashes.SHA384()),
                        ("SHA512", hashes.SHA512())):
            pub.verify(self.sign(P256, "ECDSA-" + name), DATA, ec.ECDSA(h))
        pub.verify(self.sign(P256, "ECDSA", data="digest"), DATA,
                   ec.ECDSA(hashes.SHA256()))

    def test_openssl_engine(self):
        for key, more in ((RSA, ()), (P256, ()),
                          (RSA, ("-sigopt", "rsa_padding_mode:pss",
                                 "-sigopt", "rsa_pss_saltlen:digest"))):
            self.public_key(key)
            self.tool("openssl", "dgst", "-sha256", "-engine", "pkcs11",
                      "-keyform", "engine", "-sign",
                      f"pkcs11:token=Shoji;id=%{key};type=private", *more,
                      "-out", "sig", "data")
            self.tool("openssl", "dgst", "-sha256", "-verify", "pub.pem", *more,
                      "-signature", "sig", "data")
            with open(self.path("other"), "wb") as f:
                f.write(DATA + b"x")
            self.tool("openssl", "dgst", "-sha256", "-verify", "pub.pem", *more,
                      "-signature", "sig", "other", good=False)

    def test_ssh(self):
        """A key of the token certifies another: what ssh signs with it."""
        keys = self.tool("ssh-keygen", "-D", MODULE).splitlines()
        self.tool("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "user")
        for kind, verify in (("ssh-rsa", self.verify_ssh_rsa),
                             ("ecdsa-sha2-nistp256", self.verify_ssh_ecdsa)):
            line = next(k for k in keys if k.startswith(kind))
            with open(self.path("ca.pub"), "w") as f:
                f.write(line + "\n")
            self.tool("ssh-keygen", "-q", "-D", MODULE, "-s", "ca.pub", "-I",
                      "someone", "user.pub")
            cert = self.read("user-cert.pub").split()[1]
            verify(serialization.load_ssh_public_key(line.encode()),
                   base64.b64decode(cert))

    def ssh_signature(self, cert):
        """(signed bytes, algorithm, signature): the signature is the last of
        a certificate's strings (PROTOCOL.certkeys)."""
        for size in range(400, 40, -1):
            at = len(cert) - size - 4
            if struct.unpack_from(">I", cert, at)[0] == size:
                name, rest = ssh_string(cert, at + 4)
                return cert[:at], name, ssh_string(cert, rest)[0]
        self.fail("no signature")

    def verify_ssh_rsa(self, pub, cert):
        signed, name, sig = self.ssh_signature(cert)
        self.assertEqual(name, b"rsa-sha2-512")
        pub.verify(sig, signed, padding.PKCS1v15(), hashes.SHA512())

    def verify_ssh_ecdsa(self, pub, cert):
        signed, name, sig = self.ssh_signature(cert)
        r, at = ssh_string(sig, 0)
        s, _ = ssh_string(sig, at)
        numbers = [int.from_bytes(n, "big") for n in (r, s)]
        pub.verify(utils.encode_dss_signature(*numbers), signed,
                   ec.ECDSA(hashes.SHA256()))

    def test_certifying_key_is_kept(self):
        folder = f"{B}/sdk/tools/sdk/examples/sign"
        for name in (f"{B}/certifier.key.der", f"{B}/programs/sign.elf",
                     f"{folder}/certifier.S.o"):
            self.assertEqual(os.stat(name).st_mode & 0o077, 0, name)

    def test_no_program(self):
        out = self.pkcs11("-L", SHOJI_TEST_SOCKET="/nowhere")
        self.assertIn("(empty)", out)
        self.pkcs11("--test", good=False, SHOJI_TEST_SOCKET="/nowhere")


unittest.main(argv=sys.argv[:1])
