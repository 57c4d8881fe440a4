// One call on libcurl: a handle with everything that it points to. Used by client.cpp only, on the client's
// thread.
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "daemon/http/request.hpp"
#include "daemon/http/response.hpp"
#include "daemon/http/wire.hpp"

namespace durabled::daemon {

class HttpTransfer {
 public:
  using Clock = std::chrono::steady_clock;

  // `resolve` must outlive the transfer; nullptr: none.
  HttpTransfer(WireRequest wire, SecretScrubber scrubber, std::string role, std::chrono::milliseconds timeout,
               std::size_t max_response_bytes, curl_slist* resolve);
  HttpTransfer(const HttpTransfer&) = delete;
  HttpTransfer& operator=(const HttpTransfer&) = delete;

  // Configured for the next exchange; CURLOPT_PRIVATE is this object.
  CURL* handle() const { return easy_.get(); }

  // The exchange ended with `code`, and the handle is out of its multi handle. The call's outcome; nullopt: a
  // redirect is to be followed, handle() is ready for that.
  std::optional<HttpOutcome> finish(CURLcode code, const HttpPolicy& policy);

  std::chrono::milliseconds elapsed() const;  // since the call began

 private:
  template <auto Free>
  struct Closer {
    template <typename T>
    void operator()(T* object) const {
      Free(object);
    }
  };

  void prepare();
  void prepare_payload();
  void prepare_headers();
  void add_header(const std::string& name, const std::string& value);
  bool receive_header(std::string_view line);
  bool receive_body(std::string_view bytes);
  bool admit(const std::optional<IpAddress>& address);
  std::optional<HttpOutcome> follow(const HttpPolicy& policy);
  HttpFailure failure(CURLcode code) const;
  std::string reason_for(CURLcode code) const;
  HttpFailure fail(HttpFailure::Class failure_class, const char* code, const std::string& message) const;

  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self);
  static curl_socket_t on_open_socket(void* self, curlsocktype purpose, curl_sockaddr* address);
  static int on_connected(void* self, char* remote, char* local, int remote_port, int local_port);

  WireRequest wire_;
  SecretScrubber scrubber_;
  std::string role_;
  std::chrono::milliseconds timeout_;
  std::size_t max_response_bytes_;
  curl_slist* resolve_;
  Clock::time_point started_ = Clock::now();

  RawHttpResponse response_;
  std::size_t header_bytes_ = 0;
  bool too_large_ = false;
  bool opened_socket_ = false;        // to an address that is allowed
  std::optional<IpAddress> refused_;  // the last address that was not
  int redirects_ = 0;
  char error_[CURL_ERROR_SIZE] = {};
  // What the handle points to is declared before it, and so freed after it.
  std::unique_ptr<curl_slist, Closer<curl_slist_free_all>> headers_;
  std::unique_ptr<CURL, Closer<curl_easy_cleanup>> easy_;
  std::unique_ptr<curl_mime, Closer<curl_mime_free>> form_;  // belongs to the handle: freed first
};

}  // namespace durabled::daemon
