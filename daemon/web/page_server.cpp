#include "daemon/web/page_server.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <stdexcept>

#include "daemon/web/http_server.hpp"
#include "daemon/web/peers.hpp"
#include "store/conninfo.hpp"

namespace durabled::daemon::web {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kThreads = 8;

bool is_base_path(const std::string& path) {
  return path.starts_with('/') && path.ends_with('/') && path.find("//") == std::string::npos &&
         path.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/") ==
             std::string::npos;
}

void check(const Options& options) {
  const auto refuse = [](const std::string& message) { throw std::runtime_error(message); };
  if (!is_base_path(options.base_path)) refuse("--base-path begins and ends with a slash, as in /durabled/");
  if (!are_valid_peers(options.trusted))
    refuse("--trusted-proxy is unix or a range of addresses, as in 10.0.0.0/8");
  const bool is_local = is_loopback(options.address);
  if (options.mode == Mode::kPersonal &&
      (!is_local || !options.trusted.empty() || options.address.starts_with("unix:")))
    refuse("without --login or --user-header the page is for one person, on the loopback interface");
  if (!is_local && options.trusted.empty())
    refuse(
        "on an address that others reach, a proxy with TLS must stand in front: name it with "
        "--trusted-proxy");
  if (options.mode == Mode::kProxy && options.trusted.empty())
    refuse("--user-header needs --trusted-proxy: anybody else could write that header");
  if (options.mode == Mode::kLogin && store::conninfo_value(options.conninfo, "dbname").empty() &&
      std::getenv("PGDATABASE") == nullptr)
    refuse("--login needs the name of the database, in --database or PGDATABASE");
}

// A link in a private file: the arguments of a program are there for everybody to read.
class LinkFile {
 public:
  explicit LinkFile(const std::string& link) {
    char path[] = "/tmp/durabled-ui-XXXXXX.html";
    const int file = ::mkostemps(path, 5, O_CLOEXEC);
    if (file < 0) throw std::runtime_error("cannot write " + std::string(path));
    path_ = path;
    const std::string page = "<!doctype html><meta http-equiv=\"refresh\" content=\"0;url=" + link + "\">\n";
    const bool written = ::write(file, page.data(), page.size()) == static_cast<ssize_t>(page.size());
    ::close(file);
    if (!written) throw std::runtime_error("cannot write " + path_);
  }
  ~LinkFile() { ::unlink(path_.c_str()); }
  LinkFile(const LinkFile&) = delete;
  LinkFile& operator=(const LinkFile&) = delete;

  void open() const {
    const pid_t child = ::fork();
    if (child == 0) {
      const int null = ::open("/dev/null", O_RDWR);
      ::dup2(null, STDIN_FILENO);
      ::dup2(null, STDOUT_FILENO);
      ::dup2(null, STDERR_FILENO);
      ::execlp("xdg-open", "xdg-open", path_.c_str(), nullptr);
      ::_exit(127);
    }
  }

 private:
  std::string path_;
};

// Prints the links of mode personal: one at the beginning, and one each time that Enter is pressed.
class Links {
 public:
  Links(asio::io_context& io, Page& page, std::string base,
        const std::function<void(const std::string&)>& say)
      : page_(page), base_(std::move(base)), say_(say), input_(io) {
    page_.on_session = [this] { file_.reset(); };
    print();
    if (page_.options().open) {
      file_.emplace(last_);
      file_->open();
    }
    if (::isatty(STDIN_FILENO) == 1) {
      say_("Press Enter for a new link; each works once.\n");
      input_.assign(::dup(STDIN_FILENO));
      read();
    }
  }

 private:
  void print() {
    last_ = base_ + "#token=" + page_.new_token();
    say_(last_ + '\n');
  }
  void read() {
    input_.async_read_some(asio::buffer(typed_), [this](boost::system::error_code error, std::size_t) {
      if (error) return;  // the terminal is gone, or this runs in its background
      print();
      read();
    });
  }

  Page& page_;
  std::string base_, last_;
  const std::function<void(const std::string&)>& say_;
  asio::posix::stream_descriptor input_;
  std::array<char, 256> typed_{};
  std::optional<LinkFile> file_;
};

}  // namespace

bool is_included() {
  return true;
}

int serve(const Options& options, const std::function<void(const std::string&)>& say) {
  check(options);
  asio::io_context io(1);
  asio::thread_pool threads(kThreads);
  Page page(io, threads, options);
  HttpServer server(io, page);
  const bool is_unix = options.address.starts_with("unix:");
  const std::string host =
      options.address.find(':') == std::string::npos ? options.address : '[' + options.address + ']';
  const std::string base =
      is_unix ? options.address : "http://" + host + ':' + std::to_string(server.port()) + options.base_path;
  std::optional<Links> links;
  if (options.mode == Mode::kPersonal)
    links.emplace(io, page, base, say);
  else
    say("durabled ui listens on " + base + '\n');
  asio::signal_set signals(io, SIGTERM, SIGINT);
  signals.async_wait([&](boost::system::error_code, int) { io.stop(); });
  io.run();
  threads.join();
  return 0;
}

}  // namespace durabled::daemon::web
