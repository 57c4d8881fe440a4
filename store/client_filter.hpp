// The conditions on df.instances that list and the commands for many instances share. Private to store/.
#pragma once

#include <string>

#include "store/client_impl.hpp"

namespace durabled::store {

// A condition on df.instances i that reads its values from p, a JSON object; puts them into `parameters`.
std::string filter_condition(const InstanceFilter& filter, Parameters& parameters);

}  // namespace durabled::store
