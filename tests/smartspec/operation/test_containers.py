"""compose.yaml, as far as it can be tested without containers, and the roles of a new server."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from psycopg import errors

from smartspec.local import embedded_postgres, postgres_binaries, postgres_cluster, processes

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.long
SECRETS = {
    "POSTGRES_PASSWORD": "pa1",
    "DATABASE_OWNER_PASSWORD": "pa2",
    "DATABASE_APP_PASSWORD": "pa3",
}
OURS = ("migrate", "web", "tick")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """Return the services with the variables replaced, as docker compose does."""
    text = (ROOT / "compose.yaml").read_text()
    text = re.sub(r"\$\{(\w+):[?-]([^}]*)\}", lambda match: SECRETS.get(match[1], match[2]), text)
    services: dict[str, Any] = yaml.safe_load(text)["services"]
    return services


def test_every_password_is_required() -> None:
    text = (ROOT / "compose.yaml").read_text()
    assert {name for name, kind in re.findall(r"\$\{(\w+)(:\?)", text) if kind} == set(SECRETS)


def test_only_the_site_is_reached_and_only_from_this_machine(services: dict[str, Any]) -> None:
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert ports == {"web": ["127.0.0.1:8000:8000"]}


@pytest.mark.parametrize("name", ["web", "tick"])
def test_the_site_knows_the_password_of_its_own_role_alone(
    services: dict[str, Any], name: str
) -> None:
    environment = services[name]["environment"]
    assert environment["DATABASE_URL"].startswith("postgres://smartspec_app:pa3@")
    assert (
        set(SECRETS) - {"DATABASE_APP_PASSWORD"} <= environment.keys()
    )  # They hide the values of .env.
    assert not re.search("pa1|pa2", str(services[name]))


@pytest.mark.parametrize("name", OURS)
def test_the_database_needs_no_tls_in_the_network_of_the_services(
    services: dict[str, Any], name: str
) -> None:
    environment = services[name]["environment"]
    assert environment["DATABASE_PRIVATE_HOSTS"] == "postgres"
    assert "@postgres:" in environment["DATABASE_URL"]


def test_the_owner_migrates_once_before_the_site_starts(services: dict[str, Any]) -> None:
    environment = services["migrate"]["environment"]
    assert environment["DATABASE_URL"].startswith("postgres://smartspec:pa2@")
    assert environment["DATABASE_APP_ROLE"] == "smartspec_app"
    assert services["migrate"]["restart"] == "no"
    for name in ("web", "tick"):
        assert services[name]["depends_on"]["migrate"] == {
            "condition": "service_completed_successfully"
        }


@pytest.mark.parametrize("name", OURS)
def test_our_containers_have_few_rights(services: dict[str, Any], name: str) -> None:
    service = services[name]
    assert (service["read_only"], service["cap_drop"], service["init"]) == (True, ["ALL"], True)
    assert "USER smartspec" in (ROOT / "Dockerfile").read_text()


@pytest.fixture(scope="module")
def new_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a temporary server with a superuser, as PostgreSQL's image does; yield its URL."""
    data = tmp_path_factory.mktemp("roles") / "data"
    owner = postgres_cluster._choose_owner()
    programs = postgres_binaries.find_programs(owner=owner, major=None)
    data.mkdir(mode=0o700)
    if owner:
        os.chown(data, owner.uid, owner.gid)
    with postgres_cluster._open_folder(data) as descriptor:
        cluster = postgres_cluster.Cluster(data, descriptor, programs, owner)
        postgres_cluster._run(
            cluster, "initdb", "-D", cluster.argument, "-U", "postgres", "-A", "reject", "--no-sync"
        )
        postgres_cluster._run_statements(cluster, "postgres", "ALTER ROLE postgres PASSWORD 'pa1'")
        (data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        port = embedded_postgres.find_free_port()
        server = embedded_postgres._start(cluster, port=port, durable=False)
        try:
            embedded_postgres._wait_until_ready(server, data)
            yield f"postgres://postgres:pa1@127.0.0.1:{port}/postgres"
        finally:
            processes.stop(server, seconds=10)


@pytest.fixture(scope="module")
def prepared(new_server: str) -> str:
    """Prepare the server as compose.yaml does: deploy/roles.sql, then `prepare` as the owner."""
    script = ["psql", new_server, "-q", "-f", str(ROOT / "deploy/roles.sql")]
    try:
        done = subprocess.run(
            script, env={**os.environ, **SECRETS}, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("psql is not installed")
    assert (done.returncode, done.stderr) == (0, "")
    assert "W002" not in manage(new_server, "smartspec:pa2", "prepare")
    return new_server


def manage(server: str, login: str, *arguments: str, app_role: str = "smartspec_app") -> str:
    address = server.partition("@")[2].partition("/")[0]
    environment = {
        **os.environ,
        "DATABASE_URL": f"postgres://{login}@{address}/smartspec",
        "DATABASE_APP_ROLE": app_role,
    }
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.drill
def test_the_roles_of_a_new_server_suit_the_site(prepared: str) -> None:
    assert "W002" not in manage(
        prepared, "smartspec_app:pa3", "check", "--deploy", "--database", "default"
    )
    manage(prepared, "smartspec_app:pa3", "create_user", "ann@example.com", "--credits", "5")
    assert "sound" in manage(prepared, "smartspec_app:pa3", "audit_ledger")


@pytest.mark.drill
def test_an_installation_with_one_role_gets_the_second_as_documented(prepared: str) -> None:
    statements = (ROOT / "docs/roles.md").read_text().split("```sql")[1].split("```")[0]
    with psycopg.connect(prepared, dbname="smartspec") as connection:
        connection.execute(
            statements.replace("smartspec_app", "later_app").replace("…", "pa5").encode()
        )
    manage(prepared, "smartspec:pa2", "migrate", app_role="later_app")
    manage(prepared, "later_app:pa5", "create_user", "eve@example.com")
    assert "W002" not in manage(
        prepared, "later_app:pa5", "check", "--deploy", "--database", "default"
    )
    manage(prepared, "smartspec:pa2", "migrate")  # Restore the role for the other tests.


@pytest.mark.drill
def test_a_site_that_runs_as_the_owner_is_warned(prepared: str) -> None:
    assert "smartspec.W002" in manage(
        prepared, "smartspec:pa2", "check", "--deploy", "--database", "default"
    )


@pytest.mark.drill
def test_the_owner_is_no_superuser_and_nobody_else_comes_in(prepared: str) -> None:
    with psycopg.connect(prepared) as connection:
        roles = (
            "SELECT count(*) FROM pg_roles"
            " WHERE rolname LIKE 'smartspec%' AND (rolsuper OR rolcreaterole)"
        )
        assert connection.execute(roles).fetchone() == (0,)
        connection.execute("CREATE ROLE stranger LOGIN PASSWORD 'pa4'")
    for name in ("smartspec", "postgres"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(prepared.replace("postgres:pa1", "stranger:pa4"), dbname=name)


@pytest.mark.drill
def test_the_sites_role_cannot_write_there_either(prepared: str) -> None:
    with (
        psycopg.connect(
            prepared, user="smartspec_app", password="pa3", dbname="smartspec"
        ) as connection,
        pytest.raises(errors.InsufficientPrivilege),
    ):
        connection.execute("DELETE FROM credit_transactions")
