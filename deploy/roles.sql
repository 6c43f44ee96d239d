-- Creates the owner of the tables, the role of the site and the database. Run this once on a new
-- server, with psql 15 or newer, as a superuser. The passwords come from the environment.
-- compose.yaml runs this in a new volume; docs/roles.md describes the rights of each role.
\set ON_ERROR_STOP on
\getenv owner_password DATABASE_OWNER_PASSWORD
\getenv app_password DATABASE_APP_PASSWORD

CREATE ROLE smartspec LOGIN PASSWORD :'owner_password';
CREATE ROLE smartspec_app LOGIN PASSWORD :'app_password';
ALTER ROLE smartspec_app SET lock_timeout = '5s';
ALTER ROLE smartspec_app SET statement_timeout = '30s';

CREATE DATABASE smartspec OWNER smartspec ENCODING 'UTF8';
REVOKE ALL ON DATABASE smartspec, postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE smartspec TO smartspec_app;

\connect smartspec
-- Before PostgreSQL 15, every role could create objects in this schema.
ALTER SCHEMA public OWNER TO smartspec;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
