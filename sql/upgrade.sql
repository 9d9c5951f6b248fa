/* evcharge: from the version that was released last to the one in the making */

-- complain if the script is sourced in psql rather than through ALTER EXTENSION
\echo Use "ALTER EXTENSION evcharge UPDATE" to load this file. \quit

-- ---------------------------------------------------------------------------
-- What CREATE OR REPLACE cannot do stands here; all functions follow, as they
-- are now.  Then SELECT evcharge.install() brings the tables up to date.
-- ---------------------------------------------------------------------------
