# Writes OUTPUT, a C++ source that holds the page's files: PAGE/index.html and app.css, app.js (PAGE/*.js in one, see
# join_modules.cmake), and the ES modules of the libraries in LIBRARIES (a node_modules) as lib/NAME.js, whose imports of
# each other are made relative. Each as it is and with gzip; @ASSETS@ in the page becomes the folder below which all of
# them are found, named by the hash of all.
set(work ${OUTPUT}.d)
file(REMOVE_RECURSE ${work})
file(MAKE_DIRECTORY ${work}/lib)
include(${CMAKE_CURRENT_LIST_DIR}/join_modules.cmake)
join_modules(${PAGE} ${work}/app.js)
file(COPY ${PAGE}/index.html ${PAGE}/app.css DESTINATION ${work})

set(modules
  "preact=preact/dist/preact.module.js"
  "hooks=preact/hooks/dist/hooks.module.js"
  "htm=htm/dist/htm.module.js"
  "signals-core=@preact/signals-core/dist/signals-core.module.js"
  "signals=@preact/signals/dist/signals.module.js")
foreach(module IN LISTS modules)
  string(REGEX MATCH "^([^=]+)=(.+)$" ignored ${module})
  set(name ${CMAKE_MATCH_1})
  file(READ ${LIBRARIES}/${CMAKE_MATCH_2} text)
  string(REPLACE "from\"preact\"" "from\"./preact.js\"" text "${text}")
  string(REPLACE "from\"preact/hooks\"" "from\"./hooks.js\"" text "${text}")
  string(REPLACE "from\"@preact/signals-core\"" "from\"./signals-core.js\"" text "${text}")
  string(REGEX REPLACE "//# sourceMappingURL=[^\n]*" "" text "${text}")
  file(WRITE ${work}/lib/${name}.js "${text}")
endforeach()

file(GLOB_RECURSE files RELATIVE ${work} ${work}/*)
list(SORT files)
set(hashes "")
foreach(file IN LISTS files)
  file(SHA256 ${work}/${file} hash)
  string(APPEND hashes "${file} ${hash}\n")
endforeach()
string(SHA256 hash "${hashes}")
string(SUBSTRING ${hash} 0 32 hash)
file(READ ${work}/index.html text)
string(REPLACE "@ASSETS@" "assets/${hash}" text "${text}")
file(WRITE ${work}/index.html "${text}")

include(${CMAKE_CURRENT_LIST_DIR}/literal.cmake)
set(body "#include \"daemon/web/assets.hpp\"\n\nnamespace durabled::daemon::web {\n\n")
string(APPEND body "const std::vector<Asset>& assets() {\n  static const std::vector<Asset> all = {\n")
foreach(file IN LISTS files)
  execute_process(COMMAND gzip -9nc ${work}/${file} OUTPUT_FILE ${work}/compressed COMMAND_ERROR_IS_FATAL ANY)
  literal(${work}/${file} raw raw_bytes)
  literal(${work}/compressed gzip gzip_bytes)
  get_filename_component(suffix ${file} LAST_EXT)
  string(REPLACE ".js" "text/javascript; charset=utf-8" type "${suffix}")
  string(REPLACE ".html" "text/html; charset=utf-8" type "${type}")
  string(REPLACE ".css" "text/css; charset=utf-8" type "${type}")
  string(APPEND body "      {\"${file}\", \"${type}\", std::string_view(${raw}, ${raw_bytes}),"
    " std::string_view(${gzip}, ${gzip_bytes})},\n")
endforeach()
string(APPEND body "  };\n  return all;\n}\n\nstd::string_view assets_hash() {\n  return \"${hash}\";\n}\n\n")
string(APPEND body "}  // namespace durabled::daemon::web\n")
file(WRITE ${OUTPUT} "${body}")
