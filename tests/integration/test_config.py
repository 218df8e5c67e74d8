"""Settings: --help, --check-config, and refusals that name the setting."""
import subprocess

import pytest

from harness.gateway import GATEWAY, SECRET, environment


def run(*flags: str, **settings) -> subprocess.CompletedProcess:
    return subprocess.run([GATEWAY, *flags], env=environment(**settings), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=20)


CONTRACT = ["PORT", "PING_INTERVAL", "PING_TIMEOUT", "REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD", "REDIS_DB",
            "REDIS_PREFIX", "JWT_SECRET", "JWT_ISSUER", "JWT_AUDIENCE", "CORS_ALLOWED_ORIGINS", "OPS_PORT"]


def test_help_tells_every_setting():
    done = run("--help")
    assert done.returncode == 0
    missing = [name for name in CONTRACT if name not in done.stdout]
    assert not missing
    assert "10000" in done.stdout and "25000" in done.stdout


def test_check_config_prints_what_would_hold():
    done = run("--check-config", JWT_SECRET=SECRET, PORT=4000, REDIS_PASSWORD="geheim")
    assert done.returncode == 0, done.stderr
    values = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert values["PORT"] == "4000" and values["OPS_PORT"] == "9090" and values["PING_TIMEOUT"] == "60000"
    assert SECRET not in done.stdout and "geheim" not in done.stdout


def test_a_flag_goes_before_the_environment():
    done = run("--check-config", "--port", "4001", "--ping-interval=1000", JWT_SECRET=SECRET, PORT=4000)
    assert "PORT=4001\n" in done.stdout and "PING_INTERVAL=1000\n" in done.stdout


def test_a_settings_file_goes_behind_the_environment(tmp_path):
    path = tmp_path / "gateway.conf"
    path.write_text(f"# a remark\nJWT_SECRET={SECRET}\nPORT=4000\nPING_INTERVAL='1000'\nMAX_ROOMS=7\n")
    for flags, settings in [(["--config", str(path)], {}), ([f"--config-file={path}"], {}), ([], {"CONFIG_FILE": path})]:
        done = run("--check-config", "--max-rooms", "9", *flags, PORT=4001, **settings)
        assert done.returncode == 0, done.stderr
        assert {"PORT=4001", "PING_INTERVAL=1000", "MAX_ROOMS=9", f"CONFIG_FILE={path}"} <= set(done.stdout.splitlines())


def test_what_check_config_prints_is_a_settings_file(tmp_path):
    path = tmp_path / "gateway.conf"
    printed = run("--check-config", JWT_SECRET=SECRET, MAX_ROOMS=7).stdout
    path.write_text("".join(line + "\n" for line in printed.splitlines()
                            if not line.startswith(("CONFIG_FILE=", "JWT_SECRET="))))
    done = run("--check-config", "--config", str(path), JWT_SECRET=SECRET)
    assert done.stdout.replace(f"CONFIG_FILE={path}\n", "CONFIG_FILE=\n") == printed
    assert "# SIGHUP reloads these:" in printed


def test_a_wrong_settings_file_names_the_line(tmp_path):
    path = tmp_path / "gateway.conf"
    path.write_text("PORT=4000\nPIGN_INTERVAL=1000\n")
    done = run("--config", str(path), JWT_SECRET=SECRET)
    assert done.returncode == 2
    assert "settings file, line 2: unknown setting PIGN_INTERVAL; did you mean PING_INTERVAL?" in done.stderr


REFUSED = [
    ("JWT_SECRET", None), ("JWT_SECRET", ""), ("JWT_SECRET", "x" * 31),
    ("PORT", "http"), ("PORT", "-1"), ("PORT", "65536"), ("PORT", "80 "), ("PORT", "1e3"),
    ("OPS_PORT", "99999999999999999999999"),
    ("PING_INTERVAL", "0"), ("PING_INTERVAL", "Infinity"), ("PING_TIMEOUT", "-5"),
    ("REDIS_PORT", "0"), ("REDIS_DB", "x"), ("LOG_LEVEL", "loud"),
]


@pytest.mark.parametrize("flags", [["--check-config"], []], ids=["checked", "started"])
@pytest.mark.parametrize("name,value", REFUSED)
def test_refusals_name_the_setting(name, value, flags):
    settings = {"JWT_SECRET": SECRET, "PORT": 0, "OPS_PORT": 0} | {name: value}
    done = run(*flags, **settings)
    assert done.returncode == 2
    assert name in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("flag", ["--prot=1", "--", "extra", "-x"])
def test_unknown_flags(flag):
    done = run("--check-config", flag, "more", JWT_SECRET=SECRET)
    assert done.returncode == 2 and done.stderr


def test_a_secret_is_never_repeated_in_a_complaint():
    assert "tooshort" not in run("--check-config", JWT_SECRET="tooshort").stderr


def test_a_port_that_is_taken(gateway):
    done = run(PORT=gateway.port, OPS_PORT=0, JWT_SECRET=SECRET)
    assert done.returncode == 1
    assert str(gateway.port) in done.stderr


def test_secrets_are_not_in_the_log(start_gateway, connect):
    gateway = start_gateway(LOG_LEVEL="debug")
    connect(gateway)
    assert SECRET not in gateway.log()
    assert "eyJ" not in gateway.log(), "a token"
