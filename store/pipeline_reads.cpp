#include "store/pipeline_reads.hpp"

#include "store/ai_schema.hpp"
#include "store/guard.hpp"
#include "store/pqxx_compat.hpp"
#include "store/schema_check.hpp"
#include "store/transaction.hpp"

namespace durabled::store {
namespace {

// The quoted name of a schema that durabled made: whoever could make another of that name would run functions in it as us.
std::string trusted_schema(const std::string& conninfo, const std::string& wanted) {
  std::vector<std::string> found = ai_schemas(conninfo);
  if (!wanted.empty()) std::erase_if(found, [&](const std::string& name) { return name != wanted; });
  if (found.size() == 1) return found[0];
  throw StoreError(StoreError::Kind::kPermanent, "pipelines",
                   found.empty()
                       ? "AI pipelines are not installed in this database; run: durabled init --with-ai"
                       : "this database has several schemas of AI pipelines; choose one with --ai-schema");
}

TextTable read(const std::string& conninfo, const std::string& schema, const std::string& call,
               const std::optional<std::string>& name) {
  const std::string from = trusted_schema(conninfo, schema) + '.' + call;
  return guarded("look at pipelines", [&] {
    pqxx::connection connection(conninfo);
    Transaction session(connection);
    pqxx::work& work = session;
    find_trusted_schema(work);
    const pqxx::result result = name ? exec_params(work, "select * from " + from + "($1)", *name)
                                     : work.exec("select * from " + from + "()");
    TextTable table;
    for (int column = 0; column < static_cast<int>(result.columns()); ++column)
      table.columns.emplace_back(result.column_name(column));
    for (const pqxx::row& row : result) {
      auto& cells = table.rows.emplace_back();
      for (const pqxx::field& field : row)
        cells.push_back(field.is_null() ? std::nullopt : std::optional<std::string>(field.c_str()));
    }
    return table;
  });
}

}  // namespace

TextTable pipelines(const std::string& conninfo, const std::string& schema) {
  return read(conninfo, schema, "status", std::nullopt);
}

TextTable pipeline_status(const std::string& conninfo, const std::string& schema, const std::string& name) {
  return read(conninfo, schema, "status", name);
}

TextTable pipeline_failures(const std::string& conninfo, const std::string& schema, const std::string& name) {
  return read(conninfo, schema, "failures", name);
}

}  // namespace durabled::store
