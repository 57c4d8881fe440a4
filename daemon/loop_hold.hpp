// How long single handlers hold the event loop: whoever else's work is due has to wait for them.
#pragma once

#include <boost/asio/io_context.hpp>

namespace durabled::daemon {

// Names the work of the handler that runs on this thread, for the log. `kind` is a literal.
void name_loop_work(const char* kind);

// As io.run(), and logs (debug) each handler that used the processor for more than 10 ms, with its kind and
// the longest so far.
void run_measured(boost::asio::io_context& io);

}  // namespace durabled::daemon
