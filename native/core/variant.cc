#include "core/variant.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <vector>

#include "core/arguments.h"
#include "core/values.h"

namespace apt_ostree {

namespace {

template <typename T>
VariantPtr IntegerFromJs(Napi::Value value, const std::string& name, GVariant* (*make)(T)) {
  const int64_t number =
      CheckedInteger(value, name, static_cast<int64_t>(std::numeric_limits<T>::min()),
                     static_cast<int64_t>(std::numeric_limits<T>::max()));
  return VariantPtr::Sink(make(static_cast<T>(number)));
}

VariantPtr Unsigned64FromJs(Napi::Value value, const std::string& name) {
  if (value.IsBigInt()) {
    bool lossless = false;
    const uint64_t number = value.As<Napi::BigInt>().Uint64Value(&lossless);
    if (lossless) return VariantPtr::Sink(g_variant_new_uint64(number));
  }
  const int64_t number = CheckedInteger(value, name, 0, std::numeric_limits<int64_t>::max());
  return VariantPtr::Sink(g_variant_new_uint64(static_cast<uint64_t>(number)));
}

VariantPtr FromJs(Napi::Value value, const GVariantType* type, const std::string& name);

// Not those of prototypes, whoever made the object.
Napi::Array OwnKeys(Napi::Object object) {
  napi_value keys = nullptr;
  const napi_status status = napi_get_all_property_names(
      object.Env(), object, napi_key_own_only,
      static_cast<napi_key_filter>(napi_key_enumerable | napi_key_skip_symbols),
      napi_key_numbers_to_strings, &keys);
  NAPI_THROW_IF_FAILED(object.Env(), status, Napi::Array());
  return Napi::Array(object.Env(), keys);
}

VariantPtr ArrayFromJs(Napi::Value value, const GVariantType* type, const std::string& name) {
  const GVariantType* element = g_variant_type_element(type);
  Napi::Env env = value.Env();
  if (g_variant_type_equal(element, G_VARIANT_TYPE_BYTE) && value.IsTypedArray() &&
      value.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array) {
    auto bytes = value.As<Napi::Uint8Array>();
    return VariantPtr::Sink(
        g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, bytes.Data(), bytes.ByteLength(), 1));
  }
  GVariantBuilder builder;
  g_variant_builder_init(&builder, type);
  try {
    if (g_variant_type_is_dict_entry(element) && value.IsObject() && !value.IsArray()) {
      const GVariantType* key_type = g_variant_type_key(element);
      const GVariantType* value_type = g_variant_type_value(element);
      Napi::Object object = value.As<Napi::Object>();
      Napi::Array keys = OwnKeys(object);
      for (uint32_t i = 0; i < keys.Length(); ++i) {
        Napi::Value key = keys.Get(i);
        const std::string member = name + "." + key.ToString().Utf8Value();
        VariantPtr key_variant = FromJs(key, key_type, member);
        VariantPtr value_variant = FromJs(object.Get(key), value_type, member);
        g_variant_builder_add_value(
            &builder, g_variant_new_dict_entry(key_variant.get(), value_variant.get()));
      }
    } else if (value.IsArray()) {
      Napi::Array array = value.As<Napi::Array>();
      for (uint32_t i = 0; i < array.Length(); ++i) {
        VariantPtr item = FromJs(array.Get(i), element, name + "[" + std::to_string(i) + "]");
        g_variant_builder_add_value(&builder, item.get());
      }
    } else {
      throw InvalidArgumentType(env, name, "an instance of Array", value);
    }
  } catch (...) {
    g_variant_builder_clear(&builder);
    throw;
  }
  return VariantPtr::Sink(g_variant_builder_end(&builder));
}

VariantPtr TupleFromJs(Napi::Value value, const GVariantType* type, const std::string& name) {
  const size_t count = g_variant_type_n_items(type);
  if (!value.IsArray() || value.As<Napi::Array>().Length() != count) {
    throw InvalidArgumentType(value.Env(), name, "an Array of " + std::to_string(count), value);
  }
  Napi::Array array = value.As<Napi::Array>();
  std::vector<VariantPtr> items;
  std::vector<GVariant*> raw;
  const GVariantType* item_type =
      g_variant_type_is_dict_entry(type) ? g_variant_type_key(type) : g_variant_type_first(type);
  for (uint32_t i = 0; i < count; ++i) {
    items.push_back(FromJs(array.Get(i), item_type, name + "[" + std::to_string(i) + "]"));
    raw.push_back(items.back().get());
    item_type = g_variant_type_next(item_type);
  }
  if (g_variant_type_is_dict_entry(type)) {
    return VariantPtr::Sink(g_variant_new_dict_entry(raw[0], raw[1]));
  }
  return VariantPtr::Sink(g_variant_new_tuple(raw.data(), raw.size()));
}

// Values may be nested without end: `value.value = value`. GVariant itself stops at 128.
class Nesting {
 public:
  explicit Nesting(Napi::Env env, const std::string& name) {
    if (depth_ == kDeepest) throw InvalidArgumentValue(env, name, "is nested too deep");
    ++depth_;
  }
  ~Nesting() { --depth_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  static constexpr int kDeepest = 64;
  static thread_local int depth_;
};

thread_local int Nesting::depth_ = 0;

VariantPtr FromJs(Napi::Value value, const GVariantType* type, const std::string& name) {
  Napi::Env env = value.Env();
  const Nesting nesting(env, name);
  switch (*g_variant_type_peek_string(type)) {
    case 'b':
      if (!value.IsBoolean()) throw InvalidArgumentType(env, name, "of type boolean", value);
      return VariantPtr::Sink(g_variant_new_boolean(value.As<Napi::Boolean>()));
    case 'y':
      return IntegerFromJs<guint8>(value, name, g_variant_new_byte);
    case 'n':
      return IntegerFromJs<gint16>(value, name, g_variant_new_int16);
    case 'q':
      return IntegerFromJs<guint16>(value, name, g_variant_new_uint16);
    case 'i':
      return IntegerFromJs<gint32>(value, name, g_variant_new_int32);
    case 'u':
      return IntegerFromJs<guint32>(value, name, g_variant_new_uint32);
    case 'h':
      return IntegerFromJs<gint32>(value, name, g_variant_new_handle);
    case 'x':
      return IntegerFromJs<gint64>(value, name, g_variant_new_int64);
    case 't':
      return Unsigned64FromJs(value, name);
    case 'd':
      if (!value.IsNumber()) throw InvalidArgumentType(env, name, "of type number", value);
      return VariantPtr::Sink(g_variant_new_double(value.As<Napi::Number>()));
    case 's': {
      const std::string text = CheckedString(value, name);
      // JavaScript strings with lone surrogates arrive as replacement characters: valid UTF-8.
      return VariantPtr::Sink(g_variant_new_string(text.c_str()));
    }
    case 'o':
    case 'g': {
      const std::string text = CheckedString(value, name);
      const bool path = *g_variant_type_peek_string(type) == 'o';
      if (path ? !g_variant_is_object_path(text.c_str()) : !g_variant_is_signature(text.c_str())) {
        throw InvalidArgumentValue(env, name,
                                   path ? "is not an object path" : "is not a signature");
      }
      return VariantPtr::Sink(path ? g_variant_new_object_path(text.c_str())
                                   : g_variant_new_signature(text.c_str()));
    }
    case 'v': {
      Options typed(env, value, name);
      VariantPtr inner = VariantFromJs(typed.Raw("value"), typed.String("type"), name);
      return VariantPtr::Sink(g_variant_new_variant(inner.get()));
    }
    case 'm': {
      const GVariantType* element = g_variant_type_element(type);
      if (value.IsNull() || value.IsUndefined()) {
        return VariantPtr::Sink(g_variant_new_maybe(element, nullptr));
      }
      VariantPtr inner = FromJs(value, element, name);
      return VariantPtr::Sink(g_variant_new_maybe(element, inner.get()));
    }
    case 'a':
      return ArrayFromJs(value, type, name);
    case '(':
    case '{':
      return TupleFromJs(value, type, name);
    default:
      throw InvalidArgumentValue(env, name, "has a type that cannot be built");
  }
}

// Setting "__proto__" would change what the object inherits.
void SetOwn(Napi::Object object, const char* key, Napi::Value value) {
  if (std::strcmp(key, "__proto__") != 0) {
    object.Set(key, value);
    return;
  }
  object.DefineProperty(Napi::PropertyDescriptor::Value(
      key, value,
      static_cast<napi_property_attributes>(napi_writable | napi_enumerable | napi_configurable)));
}

VariantPtr Swapped(VariantPtr variant, bool swap) {
  return swap ? VariantPtr::Take(g_variant_byteswap(variant.get())) : variant;
}

const GVariantType* CheckedType(Napi::Env env, const std::string& type) {
  if (!g_variant_type_string_is_valid(type.c_str()) ||
      !g_variant_type_is_definite(G_VARIANT_TYPE(type.c_str()))) {
    throw InvalidArgumentValue(env, "type", "has no definite GVariant type: " + type);
  }
  return G_VARIANT_TYPE(type.c_str());
}

Napi::Value VariantToBytes(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const VariantPtr variant = Swapped(VariantFromJs(info[1], arguments.String(0, "type"), "value"),
                                     arguments.Bool(2, "swap"));
  const SharedBytes bytes = TakeBytes(g_variant_get_data_as_bytes(variant.get()));
  return BytesToJs(info.Env(), bytes.get());
}

Napi::Value VariantFromBytes(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::string type = arguments.String(0, "type");
  const SharedBytes bytes = CheckedBytes(info[1], "bytes");
  const bool swap = arguments.Bool(2, "swap");
  const bool typed = arguments.Bool(3, "typed");
  const VariantPtr variant =
      VariantPtr::Sink(g_variant_new_from_bytes(CheckedType(info.Env(), type), bytes.get(), FALSE));
  // GLib reads anything, with values of its own where the bytes make no sense.
  if (!g_variant_is_normal_form(variant.get())) {
    throw InvalidArgumentValue(info.Env(), "bytes", "are not a GVariant of type " + type);
  }
  return VariantToJs(info.Env(), Swapped(variant, swap).get(), typed);
}

Napi::Value VariantToText(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const VariantPtr variant = VariantFromJs(info[1], arguments.String(0, "type"), "value");
  const GStringPtr text(g_variant_print(variant.get(), arguments.Bool(2, "annotate")));
  return Napi::String::New(info.Env(), text.get());
}

Napi::Value VariantFromText(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::string text = arguments.String(0, "text");
  const std::optional<std::string> type = arguments.OptionalString(1, "type");
  GError* error = nullptr;
  GVariant* parsed = g_variant_parse(type ? CheckedType(info.Env(), *type) : nullptr, text.c_str(),
                                     nullptr, nullptr, &error);
  if (parsed == nullptr) {
    const std::string problem = error->message;
    g_clear_error(&error);
    throw InvalidArgumentValue(info.Env(), "text", "is not a GVariant: " + problem);
  }
  const VariantPtr variant = VariantPtr::Sink(parsed);
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("type", g_variant_get_type_string(variant.get()));
  object.Set("value", VariantToJs(info.Env(), variant.get(), true));
  return object;
}

}  // namespace

void InitVariants(Napi::Env env, Napi::Object exports) {
  exports.Set("variantToBytes", Napi::Function::New(env, VariantToBytes));
  exports.Set("variantFromBytes", Napi::Function::New(env, VariantFromBytes));
  exports.Set("variantToText", Napi::Function::New(env, VariantToText));
  exports.Set("variantFromText", Napi::Function::New(env, VariantFromText));
}

Napi::Value VariantToJs(Napi::Env env, GVariant* variant, bool typed) {
  switch (g_variant_classify(variant)) {
    case G_VARIANT_CLASS_BOOLEAN:
      return Napi::Boolean::New(env, g_variant_get_boolean(variant));
    case G_VARIANT_CLASS_BYTE:
      return Napi::Number::New(env, g_variant_get_byte(variant));
    case G_VARIANT_CLASS_INT16:
      return Napi::Number::New(env, g_variant_get_int16(variant));
    case G_VARIANT_CLASS_UINT16:
      return Napi::Number::New(env, g_variant_get_uint16(variant));
    case G_VARIANT_CLASS_INT32:
      return Napi::Number::New(env, g_variant_get_int32(variant));
    case G_VARIANT_CLASS_UINT32:
      return Napi::Number::New(env, g_variant_get_uint32(variant));
    case G_VARIANT_CLASS_HANDLE:
      return Napi::BigInt::New(env, static_cast<int64_t>(g_variant_get_handle(variant)));
    case G_VARIANT_CLASS_INT64:
      return Napi::BigInt::New(env, static_cast<int64_t>(g_variant_get_int64(variant)));
    case G_VARIANT_CLASS_UINT64:
      return Napi::BigInt::New(env, static_cast<uint64_t>(g_variant_get_uint64(variant)));
    case G_VARIANT_CLASS_DOUBLE:
      return Napi::Number::New(env, g_variant_get_double(variant));
    case G_VARIANT_CLASS_STRING:
    case G_VARIANT_CLASS_OBJECT_PATH:
    case G_VARIANT_CLASS_SIGNATURE: {
      gsize length = 0;
      const char* text = g_variant_get_string(variant, &length);
      return Napi::String::New(env, text, length);
    }
    case G_VARIANT_CLASS_VARIANT: {
      VariantPtr inner = VariantPtr::Take(g_variant_get_variant(variant));
      if (!typed) return VariantToJs(env, inner.get());
      Napi::Object object = Napi::Object::New(env);
      object.Set("type", g_variant_get_type_string(inner.get()));
      object.Set("value", VariantToJs(env, inner.get(), true));
      return object;
    }
    case G_VARIANT_CLASS_MAYBE: {
      VariantPtr inner = VariantPtr::Take(g_variant_get_maybe(variant));
      return inner ? VariantToJs(env, inner.get(), typed) : env.Null();
    }
    case G_VARIANT_CLASS_ARRAY:
    case G_VARIANT_CLASS_TUPLE:
    case G_VARIANT_CLASS_DICT_ENTRY:
      break;
  }
  if (g_variant_is_of_type(variant, G_VARIANT_TYPE_BYTESTRING)) {
    gsize length = 0;
    const auto* bytes =
        static_cast<const char*>(g_variant_get_fixed_array(variant, &length, sizeof(char)));
    // A copy: the variant may be a map of a file that goes away.
    return Napi::Buffer<char>::Copy(env, length == 0 ? "" : bytes, length);
  }
  const gsize count = g_variant_n_children(variant);
  if (g_variant_is_of_type(variant, G_VARIANT_TYPE("a{s*}"))) {
    Napi::Object object = Napi::Object::New(env);
    for (gsize i = 0; i < count; ++i) {
      VariantPtr entry = VariantPtr::Take(g_variant_get_child_value(variant, i));
      VariantPtr key = VariantPtr::Take(g_variant_get_child_value(entry.get(), 0));
      VariantPtr value = VariantPtr::Take(g_variant_get_child_value(entry.get(), 1));
      SetOwn(object, g_variant_get_string(key.get(), nullptr),
             VariantToJs(env, value.get(), typed));
    }
    return object;
  }
  Napi::Array array = Napi::Array::New(env, count);
  for (gsize i = 0; i < count; ++i) {
    VariantPtr child = VariantPtr::Take(g_variant_get_child_value(variant, i));
    array.Set(static_cast<uint32_t>(i), VariantToJs(env, child.get(), typed));
  }
  return array;
}

VariantPtr VariantFromJs(Napi::Value value, const std::string& type, const std::string& name) {
  return FromJs(value, CheckedType(value.Env(), type), name);
}

VariantPtr VardictFromJs(Napi::Value value, const std::string& name) {
  if (value.IsUndefined()) return VariantPtr();
  return FromJs(value, G_VARIANT_TYPE_VARDICT, name);
}

}  // namespace apt_ostree
