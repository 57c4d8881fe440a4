// Traps: functions, operators, types and views with the names of PostgreSQL's own, which write down who runs them.
#pragma once

#include <set>
#include <string>

#include "tests/support/postgres_server.hpp"
#include "tests/support/sql.hpp"

namespace durabled::test {

// Every identifier and every run of operator characters of the code that runs with others' rights: all routines of
// the schema as PostgreSQL has them, its triggers, policies, checks, defaults and views, and the statements in the
// sources of store/.
std::set<std::string> words_of_privileged_code(Sql& owner);

// Requires that mallory may create schemas in the database, and objects in its schema public. Makes the schema lair with
// the table lair.evidence (login, name, what) and the procedure lair.plant(schema), and plants traps for `words` in lair
// and in public. lair.plant('pg_temp') plants types and views in the session that calls it.
void plant_traps(Sql& mallory, const std::set<std::string>& words);

// A statement that plants in pg_temp, for a step of mallory's.
inline constexpr const char* kPlantInSession =
    "do $do$ begin perform pg_catalog.set_config('search_path', 'pg_catalog', false); call "
    "lair.plant('pg_temp'); "
    "reset search_path; end $do$";

// Names in `body` (PL/pgSQL) that are looked up in a search_path: operators, functions and types without their schema.
std::set<std::string> unqualified_names(const std::string& body);

}  // namespace durabled::test
