// What the installers of both schemas share. Private to store/.
#pragma once

#include <string>

#include "sql_schema/migrations.hpp"

namespace durabled::store {

// FNV-1a, 64 bits: tells builds apart, and protects from nothing.
std::string checksum(const sql_schema::Migration& migration);

}  // namespace durabled::store
