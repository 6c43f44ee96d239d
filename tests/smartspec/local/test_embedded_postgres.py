"""The embedded PostgreSQL with real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from smartspec.local import postgres_binaries, postgres_cluster
from smartspec.local.embedded_postgres import build_application_url, find_running_url, run_server
from smartspec.local.postgres_binaries import DatabaseUnavailableError
from tests.smartspec.processes import eventually

LAUNCHER = (sys.executable, "-m", "smartspec.local.embedded_postgres")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # The folder has mode 0700, as /root has.
    return tmp_path_factory.mktemp("closed", numbered=False) / "postgres"


@pytest.fixture
def launch(data: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started = []
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}

    def start(*command: str) -> subprocess.Popen[str]:
        arguments = [*LAUNCHER, "--data", str(data), "--", *command]
        started.append(
            subprocess.Popen(arguments, env=environment, text=True, stdout=subprocess.PIPE)
        )
        return started[-1]

    yield start
    for process in started:
        with process:  # The context manager waits for the end and closes the pipe.
            process.kill()


def query(url: str, statement: str) -> object:
    with psycopg.connect(url) as connection:
        return (connection.execute(statement).fetchone() or [None])[0]


def server_pid(data: Path) -> int:
    return int((data / "postmaster.pid").read_text().split()[0])


def test_data_and_password_outlive_the_server(data: Path) -> None:
    with run_server(data) as url, psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept AS SELECT 42 AS answer")
    with run_server(data) as again:
        assert query(again, "SELECT answer FROM kept") == 42
        assert query(again, "SELECT current_setting('fsync')") == "on"


def test_the_application_is_no_superuser(data: Path) -> None:
    with run_server(data) as url:
        assert query(url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False


def test_the_sites_role_logs_in_owns_nothing_and_is_no_superuser(data: Path) -> None:
    with run_server(data) as url:
        application = build_application_url(url, data)
        assert query(
            application,
            "SELECT current_user || count(*) FROM pg_class"
            " WHERE relowner = 'smartspec_app'::regrole",
        ) == ("smartspec_app0")
        assert query(
            application,
            "SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles"
            " WHERE rolname = current_user",
        ) is (False)
        assert not query(application, "SELECT has_schema_privilege('public', 'CREATE')")


@pytest.mark.parametrize("left", ["no role", "a role without its password file"])
def test_data_of_an_earlier_version_gets_the_sites_role(data: Path, left: str) -> None:
    with run_server(data) as url:
        build_application_url(url, data)
    postgres_cluster.find_password_file(data, "smartspec_app").unlink()
    (data / "pg_hba.conf").write_text("host all smartspec 127.0.0.1/32 scram-sha-256\n")
    if left == "no role":
        with postgres_cluster.open_cluster(data, durable=True) as cluster:
            postgres_cluster._run_statements(
                cluster, "postgres", "DROP OWNED BY smartspec_app", "DROP ROLE smartspec_app"
            )
    with run_server(data) as url:
        assert query(build_application_url(url, data), "SELECT current_user") == "smartspec_app"


def test_making_the_role_can_be_killed_at_any_moment(
    data: Path, launch: Callable[..., subprocess.Popen[str]]
) -> None:
    for pause in (0.3, 0.5, 0.7, 0.9):
        postgres_cluster.find_password_file(data, "smartspec_app").unlink(missing_ok=True)
        launcher = launch("sleep", "60")
        time.sleep(pause)
        launcher.kill()
        launcher.wait()
    with run_server(data) as url:
        assert query(build_application_url(url, data), "SELECT current_user") == "smartspec_app"


def test_a_stranger_without_the_password_is_refused(data: Path) -> None:
    with run_server(data) as url:
        password = url.split(":")[2].split("@")[0]
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(url.replace(password, "guess"))


def test_the_url_is_known_only_while_the_server_runs(data: Path) -> None:
    with run_server(data) as url:
        assert find_running_url(data) == url
        left_behind = data.with_name("postgres.url").read_text()
    assert find_running_url(data) is None
    data.with_name("postgres.url").write_text(left_behind)
    assert find_running_url(data) is None


def test_a_second_launcher_shares_the_server(
    data: Path, launch: Callable[..., subprocess.Popen[str]]
) -> None:
    with run_server(data) as url:
        second = launch(sys.executable, "-c", "import os; print(os.environ['DATABASE_URL'])")
        assert second.communicate()[0].strip() == url
        assert query(url, "SELECT 1") == 1


def test_a_killed_launcher_takes_server_and_command_along(
    data: Path, launch: Callable[..., subprocess.Popen[str]]
) -> None:
    launcher = launch("sleep", "60")
    eventually(lambda: find_running_url(data))
    pid = server_pid(data)
    launcher.kill()
    eventually(lambda: not Path(f"/proc/{pid}").exists())
    with run_server(data) as url:
        assert query(url, "SELECT 1") == 1


def test_a_killed_server_recovers_at_the_next_start(
    data: Path, launch: Callable[..., subprocess.Popen[str]]
) -> None:
    launcher = launch("sleep", "60")
    eventually(lambda: find_running_url(data))
    os.kill(server_pid(data), signal.SIGKILL)
    eventually(lambda: find_running_url(data) is None)
    launcher.terminate()
    launcher.wait(60)
    with run_server(data) as url:
        assert query(url, "SELECT 1") == 1


def test_a_stale_number_now_used_by_another_process_is_no_obstacle(data: Path) -> None:
    with run_server(data):
        lines = (data / "postmaster.pid").read_text()
    other = subprocess.Popen(["sleep", "60"])
    (data / "postmaster.pid").write_text(f"{other.pid}\n{lines.partition(chr(10))[2]}")
    with run_server(data) as url:
        assert query(url, "SELECT 1") == 1
    assert other.poll() is None
    other.kill()
    other.wait()


def test_sigterm_stops_the_command_and_the_server(
    data: Path, launch: Callable[..., subprocess.Popen[str]]
) -> None:
    launcher = launch("sleep", "60")
    eventually(lambda: find_running_url(data))
    launcher.terminate()
    assert launcher.wait(60) == 128 + signal.SIGTERM
    assert not (data / "postmaster.pid").exists()


def test_the_exit_code_is_that_of_the_command(launch: Callable[..., subprocess.Popen[str]]) -> None:
    assert launch("sh", "-c", "exit 7").wait() == 7


def test_a_directory_with_other_things_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(DatabaseUnavailableError, match="not empty"), run_server(tmp_path):
        pass


def test_data_of_another_version_is_refused_in_one_sentence() -> None:
    with pytest.raises(DatabaseUnavailableError, match="PostgreSQL 13"):
        postgres_binaries.find_programs(owner=None, major=13)
