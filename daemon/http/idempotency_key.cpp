#include "daemon/http/idempotency_key.hpp"

#include <boost/uuid/name_generator_sha1.hpp>
#include <boost/uuid/string_generator.hpp>
#include <boost/uuid/uuid_io.hpp>

#include "dsl/graph/graph.hpp"

namespace durabled::daemon {

std::string idempotency_key(const std::string& installation, const std::string& instance_id,
                            const dsl::Address& address) {
  const boost::uuids::name_generator_sha1 key_of(boost::uuids::string_generator{}(installation));
  return to_string(key_of(instance_id + '/' + dsl::node_id(address.node) + '/' + address.scope));
}

}  // namespace durabled::daemon
