# evcharge: the charging state of an EV gateway, inside PostgreSQL
#
#	make				build the extension
#	make install		install it into the server that pg_config names
#	make installcheck	run the tests against a running server
#	make help			list all targets
#
# The version stands in evcharge.control and nowhere else.  The scripts of
# released versions are frozen in sql/; those of the version in the making are
# built.

EXTENSION    = evcharge
EXTVERSION   = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" evcharge.control)
PIECES       = $(sort $(wildcard sql/install/*.sql))
INSTALL_SQL  = sql/$(EXTENSION)--$(EXTVERSION).sql
RELEASED     = 1.0
UPGRADE_SQL  = sql/$(EXTENSION)--$(RELEASED)--$(EXTVERSION).sql

MODULE_big   = evcharge
PROTOS       = charge_point_gateway_format
GENERATED    = $(PROTOS:%=src/%.pb-c.c)
SOURCES      = $(filter-out %.pb-c.c, $(sort $(wildcard src/*.c)))
OBJS         = $(GENERATED:.c=.o) $(SOURCES:.c=.o)

DATA_built   = $(INSTALL_SQL) $(UPGRADE_SQL)
DATA         = $(filter-out $(DATA_built), $(wildcard sql/*--*.sql))
EXTRA_CLEAN  = $(GENERATED) $(GENERATED:.c=.h) $(OBJS:.o=.d)

REGRESS      = install prepare message message_json message_operators fsm \
               boot connector authorize charging transaction_report progress \
               repetition expire state auth_list envelope batch events contract search_path constraint views access \
               integrity
REGRESS_OPTS = --inputdir=test --load-extension=evcharge
ISOLATION      = start_race stop_race report_race state_race auth_race \
                 boot_race batch_race expire_race notify
ISOLATION_OPTS = --inputdir=test --outputdir=. --load-extension=evcharge
TAP_TESTS    = 1
PROVE_TESTS  = test/t/*.pl

# The server's headers are not ours to warn about: -isystem keeps -Wextra to src/.
PG_CONFIG    = pg_config
PG_CPPFLAGS  = -isystem $(shell $(PG_CONFIG) --includedir-server)

# Calls within the library are direct, and those out of it take no table of jumps:
# jumps and table were one in a hundred of the cache lines that a transition touches.
PG_CFLAGS    = -Wall -Wextra -MMD -MP -fno-plt -fno-semantic-interposition
SHLIB_LINK   = -Wl,-Bsymbolic-functions -lprotobuf-c

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# Descriptors and structs are made from proto/ at build time.
src/%.pb-c.c src/%.pb-c.h: proto/%.proto
	protoc-c --proto_path=proto --c_out=src $(notdir $<)

$(OBJS) $(OBJS:.o=.bc): $(GENERATED:.c=.h)
-include $(OBJS:.o=.d)

$(INSTALL_SQL): $(PIECES) evcharge.control
	cat $(PIECES) > $@

# An upgrade makes all functions anew but those of the type, which has not
# changed; CREATE OR REPLACE keeps the rights that users gave on them.
$(UPGRADE_SQL): sql/upgrade.sql $(PIECES)
	{ cat sql/upgrade.sql; \
	  sed 's/^CREATE FUNCTION/CREATE OR REPLACE FUNCTION/' \
	    $(filter-out sql/install/00_% sql/install/10_% sql/install/20_%, $(PIECES)); \
	} > $@

.PHONY: help
help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile
