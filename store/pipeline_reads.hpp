// What the schema of AI pipelines tells about pipelines, for the command line. Every call is one session of its own, with the
// rights of the role that logs in.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace durabled::store {

// Rows as text, in the order of the columns.
struct TextTable {
  std::vector<std::string> columns;
  std::vector<std::vector<std::optional<std::string>>> rows;
};

// ai.status(), ai.status(name), ai.failures(name). `schema` is empty where the database has one such schema. Block. Throw
// StoreError; kPermanent when no schema of AI pipelines is installed, or no pipeline has that name.
TextTable pipelines(const std::string& conninfo, const std::string& schema);
TextTable pipeline_status(const std::string& conninfo, const std::string& schema, const std::string& name);
TextTable pipeline_failures(const std::string& conninfo, const std::string& schema, const std::string& name);

}  // namespace durabled::store
