// Small answers of any shape, free of N-API: what reads libapt-pkg's cache builds them, and
// values.cc makes JavaScript values of them. Lists of thousands go as Columns instead.
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace apt_ostree::apt {

struct Tree;
using TreeList = std::vector<Tree>;
using TreeMembers = std::vector<std::pair<std::string, Tree>>;

struct Tree {
  // Nothing at all becomes null.
  std::variant<std::monostate, bool, double, std::string, TreeList, TreeMembers> value;

  Tree() = default;
  Tree(bool flag) : value(flag) {}
  Tree(double number) : value(number) {}
  Tree(std::string text) : value(std::move(text)) {}
  // Text of the cache, which may be absent: empty then.
  Tree(const char* text) : value(std::string(text == nullptr ? "" : text)) {}
  Tree(TreeList list) : value(std::move(list)) {}
  Tree(TreeMembers members) : value(std::move(members)) {}
};

}  // namespace apt_ostree::apt
