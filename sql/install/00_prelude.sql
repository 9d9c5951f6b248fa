/* evcharge: the charging state of an EV gateway, inside PostgreSQL */

-- complain if the script is sourced in psql rather than through CREATE EXTENSION
\echo Use "CREATE EXTENSION evcharge" to load this file. \quit

