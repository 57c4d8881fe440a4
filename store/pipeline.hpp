// A connection in libpq's pipeline mode: what is on its way, and the answers in order. Private to store/.
#pragma once

#include <libpq-fe.h>

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "store/conninfo.hpp"
#include "store/result_reader.hpp"

namespace durabled::store {

// What a message was sent for.
enum class Sent {
  kOwn,
  kLookup,
  kStatement,
  kTypes,
  kCheckpoint,
  kForeignCheckpoint,
  kCommit,
  kClean,
  kSync
};

class Pipeline {
 public:
  // Blocks. The connection may have failed; nullptr: out of memory.
  static PGconn* connect(const ConnectParams& params);
  // Takes the connection, which is in pipeline mode and non-blocking once start() was called.
  explicit Pipeline(PGconn* conn) : conn_(conn) {}
  ~Pipeline() { PQfinish(conn_); }
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  bool start();
  PGconn* connection() const { return conn_; }

  void send(const char* sql, Sent kind, const std::vector<const char*>& params = {});
  void sync();
  // The server sends the answers to what comes before, without waiting for the sync.
  void request_flush();

  // Writes and reads as much as is possible without blocking.
  void pump();
  void flush();
  bool wants_write() const { return unsent_; }

  // Takes one answer: calls `handle` with it, or with nullptr when the answers to a message are at their end.
  // False: none is there yet. Requires !idle().
  using Handler = std::function<void(PGresultPtr, Sent)>;
  bool receive(const Handler& handle);
  bool idle() const { return sent_.empty(); }
  void forget() { sent_.clear(); }

  // What libpq says of the connection.
  std::string error() const;
  // Makes the server stop what it does. Safe on another thread while this is used; blocks for a connection.
  std::function<void()> canceller() const;

  // The connection is of no further use.
  bool lost() const { return lost_; }
  void lose() { lost_ = true; }

 private:
  void sent(Sent kind, bool accepted);
  void pop();

  PGconn* conn_;
  std::deque<Sent> sent_;
  bool lost_ = false;
  bool unsent_ = false;
};

}  // namespace durabled::store
