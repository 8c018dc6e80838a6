#!/bin/sh
# Runs once, when the database is made: login roles of the processes. Their rights come from the two roles that
# `abstractgateway migrate` grants to.
set -eu
psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
  --set engine_password="$(cat /run/secrets/engine_password)" \
  --set api_password="$(cat /run/secrets/api_password)" <<'SQL'
CREATE ROLE abstractgateway_api NOLOGIN;
CREATE ROLE abstractgateway_engine NOLOGIN;
CREATE ROLE gateway_engine LOGIN PASSWORD :'engine_password' IN ROLE abstractgateway_engine;
CREATE ROLE gateway_api LOGIN PASSWORD :'api_password' IN ROLE abstractgateway_api;
SQL
