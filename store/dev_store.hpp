// What a server that was just made needs before it can serve: roles and a database. Only for `durabled dev`.
#pragma once

#include <map>
#include <string>

namespace durabled::store {

// Whether the server accepts connections with this. Blocks for one attempt.
bool can_connect(const std::string& conninfo);

// Requires a superuser. Makes ordinary roles `owner` and `app` with LOGIN, the role df_operator, and a
// database named and owned by `owner`, where they are not there, and gives the roles in `passwords` theirs. Safe
// to repeat. Not one transaction: a database cannot be made in one. Throws StoreError.
void prepare_server(const std::string& superuser_conninfo, const std::string& owner, const std::string& app,
                    const std::map<std::string, std::string>& passwords);

// As the owner of the schema: lets `role` use it, and make tables of its own in schema public; one
// transaction. Safe to repeat. Throws StoreError.
void admit(const std::string& owner_conninfo, const std::string& role);

}  // namespace durabled::store
