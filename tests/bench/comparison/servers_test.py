"""What npm has installed is told by its contents, and never put in the place of somebody else's."""

import json
import pathlib
import sys
import tempfile
import unittest
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.dont_write_bytecode = True

from comparison import servers  # noqa: E402

LOCKED = {"": {"name": "peers"}, "node_modules/a": {"version": "1.0.0"},
          "node_modules/b": {"version": "2.0.0", "optional": True}}


class Packages(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.peers = pathlib.Path(scratch.name, "peers")
        self.put(self.peers / "package-lock.json", LOCKED)

    def put(self, path, packages):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"packages": packages}))

    def install(self, folder, **versions):
        self.put(folder / ".package-lock.json", {
            f"node_modules/{name}": {"version": version} for name, version in versions.items()})

    def test_what_is_missing_or_another_version_is_not_installed(self):
        self.assertFalse(servers.npm_has_installed(self.peers))
        self.install(self.peers / "node_modules", a="1.0.1")
        self.assertFalse(servers.npm_has_installed(self.peers))
        self.install(self.peers / "node_modules", b="2.0.0")
        self.assertFalse(servers.npm_has_installed(self.peers))

    def test_what_is_optional_may_be_missing(self):
        self.install(self.peers / "node_modules", a="1.0.0")
        self.assertTrue(servers.npm_has_installed(self.peers))

    def test_a_folder_that_is_shared_is_left_alone(self):
        shared = self.peers.parent / "shared"
        self.install(shared, a="1.0.1")
        (self.peers / "node_modules").symlink_to(shared)
        with unittest.mock.patch.object(servers, "PEERS", self.peers), \
                unittest.mock.patch.object(servers, "_tool", lambda name, _: name), \
                unittest.mock.patch.object(servers, "_build", self.fail), \
                self.assertRaisesRegex(servers.NotHere, "would empty it"):
            servers.npm_packages()
        self.assertTrue((shared / ".package-lock.json").exists())


if __name__ == "__main__":
    unittest.main()
