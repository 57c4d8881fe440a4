# Writes OUTPUT, a C++ source of the function NAME() that holds each file of MIGRATIONS (a ;-list, sorted) as {number,
# name, text}.
include(${CMAKE_CURRENT_LIST_DIR}/literal.cmake)
set(body "#include \"sql_schema/migrations.hpp\"\n\nnamespace durabled::sql_schema {\n\n")
string(APPEND body "const std::vector<Migration>& ${NAME}() {\n  static const std::vector<Migration> all = {\n")
foreach(file IN LISTS MIGRATIONS)
  get_filename_component(name ${file} NAME_WE)
  string(REGEX MATCH "^[0-9]+" number ${name})
  math(EXPR number "1${number} - 10000")
  literal(${file} text bytes)
  string(APPEND body "      {${number}, \"${name}\", std::string(${text})},\n")
endforeach()
string(APPEND body "  };\n  return all;\n}\n\n}  // namespace durabled::sql_schema\n")
file(WRITE ${OUTPUT} "${body}")
