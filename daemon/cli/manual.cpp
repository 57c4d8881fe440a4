// Manual pages in groff's man macros, written from the same CLI11 app that parses the command line, so that they cannot
// fall behind it.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <vector>

#include "daemon/cli/app.hpp"

namespace durabled::daemon::cli {
namespace {

// Text as it is: no backslash of it is an escape, a hyphen stays one that can be copied, and no line begins a macro.
std::string roff(const std::string& text) {
  std::string escaped;
  bool begins_line = true;
  for (const char c : text) {
    if (begins_line && (c == '.' || c == '\'')) escaped += "\\&";
    if (c == '\\') {
      escaped += "\\e";
    } else if (c == '-') {
      escaped += "\\-";
    } else if (c == '\'') {
      escaped += "\\(aq";
    } else {
      escaped += c;
    }
    begins_line = c == '\n';
  }
  return escaped;
}

std::string bold(const std::string& text) {
  return "\\fB" + roff(text) + "\\fR";
}

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

std::string page_name(const CLI::App& app, const CLI::App* command) {
  return command == nullptr ? app.get_name() : app.get_name() + "-" + command->get_name();
}

void write_options(std::ostream& out, const CLI::App& command, bool positional) {
  const auto options = command.get_options([&](const CLI::Option* option) {
    return option->nonpositional() != positional && option->get_group() != "";
  });
  if (options.empty()) return;
  out << (positional ? ".SH ARGUMENTS\n" : ".SH OPTIONS\n");
  for (const CLI::Option* option : options) {
    out << ".TP\n" << bold(option->get_name(positional, !positional));
    if (option->get_items_expected_max() > 0 && !positional)
      out << " \\fI" << roff(option->get_type_name()) << "\\fR";
    out << '\n' << roff(option->get_description()) << '\n';
  }
}

// The footer of a command's help: paragraphs, some below a heading that ends in a colon. Indented lines are examples and
// are shown as they are.
void write_footer(std::ostream& out, const std::string& footer) {
  std::istringstream in(footer);
  bool verbatim = false;
  if (!footer.starts_with("Examples:")) out << ".SH NOTES\n";
  for (std::string line; std::getline(in, line);) {
    const bool is_indented = line.starts_with("  ");
    if (verbatim && !is_indented && !line.empty()) {
      out << ".EE\n";
      verbatim = false;
    }
    if (is_indented && !verbatim) {
      out << ".EX\n";
      verbatim = true;
    }
    const bool is_heading = !is_indented && line.ends_with(':');
    if (is_heading) {
      out << ".SH " << upper(roff(line.substr(0, line.size() - 1))) << '\n';
    } else if (line.empty()) {
      out << (verbatim ? "\n" : ".PP\n");
    } else {
      out << roff(verbatim ? line.substr(2) : line) << '\n';
    }
  }
  if (verbatim) out << ".EE\n";
}

void write_commands(std::ostream& out, const CLI::App& app) {
  out << ".SH COMMANDS\n";
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    out << ".TP\n\\fB" << roff(page_name(app, command)) << "\\fR(1)\n"
        << roff(command->get_description()) << '\n';
}

}  // namespace

std::string manual_page(const CLI::App& app, const CLI::App* command) {
  const CLI::App& shown = command == nullptr ? app : *command;
  const std::string name = page_name(app, command);
  std::ostringstream out;
  out << ".TH " << upper(roff(name)) << " 1 \"\" \"durabled " << roff(DURABLED_VERSION)
      << "\" \"User Commands\"\n"
      << ".SH NAME\n"
      << roff(name) << " \\- " << roff(shown.get_description()) << '\n'
      << ".SH SYNOPSIS\n"
      << bold(app.get_name());
  if (command != nullptr) out << ' ' << bold(command->get_name());
  out << " [\\fIOPTIONS\\fR]";
  if (command == nullptr) out << " \\fICOMMAND\\fR";
  for (const CLI::Option* option :
       shown.get_options([](const CLI::Option* o) { return !o->nonpositional(); }))
    out << (option->get_required() ? " \\fI" : " [\\fI") << roff(upper(option->get_name(true)))
        << (option->get_required() ? "\\fR" : "\\fR]");
  out << '\n';
  if (command == nullptr) write_commands(out, app);
  write_options(out, shown, true);
  write_options(out, shown, false);
  write_footer(out, shown.get_footer());
  out << ".SH SEE ALSO\n";
  if (command == nullptr) {
    out << "Each command has a page of its own, as \\fBdurabled\\-submit\\fR(1).\n";
  } else {
    out << bold(app.get_name()) << "(1)\n";
  }
  return out.str();
}

void write_manual(const CLI::App& app, const std::string& directory) {
  std::filesystem::create_directories(directory);
  const auto write = [&](const CLI::App* command) {
    std::ofstream out(std::filesystem::path(directory) / (page_name(app, command) + ".1"));
    out.exceptions(std::ios::failbit | std::ios::badbit);
    out << manual_page(app, command) << std::flush;
  };
  write(nullptr);
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) write(command);
}

}  // namespace durabled::daemon::cli
