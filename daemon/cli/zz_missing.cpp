#include "daemon/cli/command.hpp"
namespace durabled::daemon::cli {
void add_inspect_commands(CLI::App&, Invocation&){}
void add_logs_command(CLI::App&, Invocation&){}
void add_doctor_command(CLI::App&, Invocation&){}
}
