// Regular expressions, globs and patterns of callers and files, before glibc or libapt-pkg gets
// them: these repeat what an expression says to repeat, follow each parenthesis by recursion and
// try every way to match a back reference, whatever that costs.
#pragma once

#include <string>

#include "apt/failure.h"

class Configuration;

namespace apt_ostree::apt {

// What is wrong with `text` as an expression of any kind: its length, its parentheses, what its
// repetitions multiply to, back references. Empty where it may be tried; that says nothing about
// its syntax.
std::string ProblemOfExpression(const std::string& text);
// The same for what configuration and pins may have: there the library takes a slash alone for an
// expression between two, and writes in front of the text that is left.
std::string ProblemOfValue(const std::string& text);
// Throws ERR_APT_PATTERN.
void CheckExpression(const std::string& text);
// The same for all that apt_preferences(5) lets be an expression. Throws `code`, naming `file`.
void CheckPreferences(const std::string& text, const std::string& file, const std::string& code);
// For the files of pins that `configuration` names.
void CheckPreferenceFiles(Configuration& configuration);

// ERR_APT_PATTERN for `text`.
Failure BadPattern(const std::string& text, const std::string& problem);

}  // namespace apt_ostree::apt
