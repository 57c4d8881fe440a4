// Which statements of a role may share a transaction with others: plain ones that have run short before. A statement is
// known by its shape, its text without the literals, because those differ with every instance. One that fails, or that
// is the reason for which a group fell apart, runs by itself for a while, and each time for longer.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>
#include <unordered_map>

namespace durabled::daemon {

class ShortStatements {
 public:
  using Shape = std::uint64_t;
  static constexpr Shape kNone = 0;  // of a statement that shares no transaction

  // SELECT, INSERT, UPDATE, DELETE, MERGE, VALUES and WITH have a shape: they can neither end a transaction nor go back in
  // it.
  static Shape shape_of(std::string_view sql);

  bool may_join(Shape shape) const;
  // It has run by itself.
  void ran(Shape shape, std::chrono::microseconds took);
  // It was committed with others.
  void joined(Shape shape);
  // It has failed, by itself or as the one in its group that did, or was too slow for it.
  void failed(Shape shape);
  // Its group fell apart, for whatever reason.
  void fell_apart(Shape shape);

 private:
  struct Record {
    int to_run = 1;   // times that it has to run short by itself before it joins
    int penalty = 1;  // what that becomes when it fails
    int joined = 0;   // times since the last failure or forgiveness
  };
  Record* record(Shape shape);

  std::unordered_map<Shape, Record> records_;
};

}  // namespace durabled::daemon
