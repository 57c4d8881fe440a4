// Who may connect to the server of `durabled dev`: the user who started it, as any role, by the socket in the
// private folder; and whoever can read the passwords in that folder, as an ordinary role, by the loopback
// port. The superuser has no password and no access by the port.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "daemon/private_folder.hpp"

namespace durabled::daemon {

// The text of pg_hba.conf. Before PostgreSQL 16 a map cannot admit one user as any role; the socket's mode and
// folder alone keep the others out there.
std::string dev_hba(int server_major);

// The text of pg_ident.conf for it: the user of this process may be any role. Throws std::runtime_error when
// that user has no name.
std::string dev_ident(int server_major);

// The roles' passwords, from the folder's `passfile`. Where that is not there or lacks one, it is written with
// new random passwords. Throws std::system_error.
std::map<std::string, std::string> dev_passwords(const PrivateFolder& folder,
                                                 const std::vector<std::string>& roles);

}  // namespace durabled::daemon
