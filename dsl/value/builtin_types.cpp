#include "dsl/value/builtin_types.hpp"

namespace durabled::dsl {
namespace {

using Category = TypeInfo::Category;

struct Builtin {
  TypeOid oid;
  TypeOid array;  // 0: PostgreSQL has no array of it
  const char* name;
  Category category;
  char delimiter = ',';
};

constexpr Builtin kBuiltins[] = {
    {16, 1000, "boolean", Category::kBool},
    {17, 1001, "bytea", Category::kText},
    {18, 1002, "\"char\"", Category::kText},
    {19, 1003, "name", Category::kText},
    {20, 1016, "bigint", Category::kNumber},
    {21, 1005, "smallint", Category::kNumber},
    {22, 1006, "int2vector", Category::kText},
    {23, 1007, "integer", Category::kNumber},
    {24, 1008, "regproc", Category::kText},
    {25, 1009, "text", Category::kText},
    {26, 1028, "oid", Category::kText},
    {27, 1010, "tid", Category::kText},
    {28, 1011, "xid", Category::kText},
    {29, 1012, "cid", Category::kText},
    {30, 1013, "oidvector", Category::kText},
    {32, 0, "pg_ddl_command", Category::kText},
    {114, 199, "json", Category::kJson},
    {142, 143, "xml", Category::kText},
    {194, 0, "pg_node_tree", Category::kText},
    {269, 0, "table_am_handler", Category::kText},
    {325, 0, "index_am_handler", Category::kText},
    {600, 1017, "point", Category::kText},
    {601, 1018, "lseg", Category::kText},
    {602, 1019, "path", Category::kText},
    {603, 1020, "box", Category::kText, ';'},
    {604, 1027, "polygon", Category::kText},
    {628, 629, "line", Category::kText},
    {650, 651, "cidr", Category::kText},
    {700, 1021, "real", Category::kNumber},
    {701, 1022, "double precision", Category::kNumber},
    {705, 0, "unknown", Category::kText},
    {718, 719, "circle", Category::kText},
    {774, 775, "macaddr8", Category::kText},
    {790, 791, "money", Category::kText},
    {829, 1040, "macaddr", Category::kText},
    {869, 1041, "inet", Category::kText},
    {1033, 1034, "aclitem", Category::kText},
    {1042, 1014, "bpchar", Category::kText},
    {1043, 1015, "character varying", Category::kText},
    {1082, 1182, "date", Category::kText},
    {1083, 1183, "time without time zone", Category::kText},
    {1114, 1115, "timestamp without time zone", Category::kTimestamp},
    {1184, 1185, "timestamp with time zone", Category::kTimestampTz},
    {1186, 1187, "interval", Category::kText},
    {1266, 1270, "time with time zone", Category::kText},
    {1560, 1561, "\"bit\"", Category::kText},
    {1562, 1563, "bit varying", Category::kText},
    {1700, 1231, "numeric", Category::kText},
    {1790, 2201, "refcursor", Category::kText},
    {2202, 2207, "regprocedure", Category::kText},
    {2203, 2208, "regoper", Category::kText},
    {2204, 2209, "regoperator", Category::kText},
    {2205, 2210, "regclass", Category::kText},
    {2206, 2211, "regtype", Category::kText},
    {2249, 2287, "record", Category::kComposite},
    {2275, 1263, "cstring", Category::kText},
    {2276, 0, "\"any\"", Category::kText},
    {2277, 0, "anyarray", Category::kText},
    {2278, 0, "void", Category::kText},
    {2279, 0, "trigger", Category::kText},
    {2280, 0, "language_handler", Category::kText},
    {2281, 0, "internal", Category::kText},
    {2283, 0, "anyelement", Category::kText},
    {2776, 0, "anynonarray", Category::kText},
    {2950, 2951, "uuid", Category::kText},
    {2970, 2949, "txid_snapshot", Category::kText},
    {3115, 0, "fdw_handler", Category::kText},
    {3220, 3221, "pg_lsn", Category::kText},
    {3310, 0, "tsm_handler", Category::kText},
    {3361, 0, "pg_ndistinct", Category::kText},
    {3402, 0, "pg_dependencies", Category::kText},
    {3500, 0, "anyenum", Category::kText},
    {3614, 3643, "tsvector", Category::kText},
    {3615, 3645, "tsquery", Category::kText},
    {3642, 3644, "gtsvector", Category::kText},
    {3734, 3735, "regconfig", Category::kText},
    {3769, 3770, "regdictionary", Category::kText},
    {3802, 3807, "jsonb", Category::kJson},
    {3831, 0, "anyrange", Category::kText},
    {3838, 0, "event_trigger", Category::kText},
    {3904, 3905, "int4range", Category::kText},
    {3906, 3907, "numrange", Category::kText},
    {3908, 3909, "tsrange", Category::kText},
    {3910, 3911, "tstzrange", Category::kText},
    {3912, 3913, "daterange", Category::kText},
    {3926, 3927, "int8range", Category::kText},
    {4072, 4073, "jsonpath", Category::kText},
    {4089, 4090, "regnamespace", Category::kText},
    {4096, 4097, "regrole", Category::kText},
    {4191, 4192, "regcollation", Category::kText},
    {4451, 6150, "int4multirange", Category::kText},
    {4532, 6151, "nummultirange", Category::kText},
    {4533, 6152, "tsmultirange", Category::kText},
    {4534, 6153, "tstzmultirange", Category::kText},
    {4535, 6155, "datemultirange", Category::kText},
    {4536, 6157, "int8multirange", Category::kText},
    {4537, 0, "anymultirange", Category::kText},
    {4538, 0, "anycompatiblemultirange", Category::kText},
    {4600, 0, "pg_brin_bloom_summary", Category::kText},
    {4601, 0, "pg_brin_minmax_multi_summary", Category::kText},
    {5017, 0, "pg_mcv_list", Category::kText},
    {5038, 5039, "pg_snapshot", Category::kText},
    {5069, 271, "xid8", Category::kText},
    {5077, 0, "anycompatible", Category::kText},
    {5078, 0, "anycompatiblearray", Category::kText},
    {5079, 0, "anycompatiblenonarray", Category::kText},
    {5080, 0, "anycompatiblerange", Category::kText},
};

}  // namespace

std::vector<TypeInfo> builtin_types() {
  std::vector<TypeInfo> types;
  for (const Builtin& builtin : kBuiltins) {
    TypeInfo type;
    type.oid = builtin.oid;
    type.name = builtin.name;
    type.category = builtin.category;
    if (builtin.array != 0) {
      TypeInfo array;
      array.oid = builtin.array;
      array.name = type.name + "[]";
      array.category = Category::kArray;
      array.element = builtin.oid;
      array.delimiter = builtin.delimiter;
      types.push_back(std::move(array));
    }
    types.push_back(std::move(type));
  }
  return types;
}

}  // namespace durabled::dsl
