// Names of any language for libarchive, which takes and gives them through the locale of the
// thread: the C locale, where Node leaves threads, has none but ASCII.
#pragma once

#include <locale.h>

namespace apt_ostree {

class Utf8Locale {
 public:
  Utf8Locale()
      : locale_(newlocale(LC_CTYPE_MASK, "C.UTF-8", static_cast<locale_t>(nullptr))),
        before_(locale_ == nullptr ? nullptr : uselocale(locale_)) {}
  ~Utf8Locale() {
    if (locale_ == nullptr) return;
    uselocale(before_);
    freelocale(locale_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  locale_t locale_;
  locale_t before_;
};

}  // namespace apt_ostree
