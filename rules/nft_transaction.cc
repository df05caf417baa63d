// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/nft_transaction.h"

#include <nftables/libnftables.h>

#include <memory>

namespace ftpalg::rules {
namespace {

struct FreeContext {
  void operator()(nft_ctx* context) const { nft_ctx_free(context); }
};

std::string trimmed(std::string text) {
  text.erase(text.find_last_not_of('\n') + 1);
  return text;
}

}  // namespace

tl::expected<std::string, std::string> run_nft(const std::string& commands, NftMode mode) {
  const std::unique_ptr<nft_ctx, FreeContext> context{nft_ctx_new(NFT_CTX_DEFAULT)};
  if (!context) return tl::make_unexpected("libnftables cannot be initialised: out of memory");
  nft_ctx_buffer_output(context.get());
  nft_ctx_buffer_error(context.get());
  nft_ctx_set_dry_run(context.get(), mode == NftMode::check);
  // Numbers in place of names, and no counters: a listing then depends on nothing but the rules.
  nft_ctx_output_set_flags(context.get(), NFT_CTX_OUTPUT_NUMERIC_ALL | NFT_CTX_OUTPUT_STATELESS);
  if (nft_run_cmd_from_buffer(context.get(), commands.c_str()) != 0) {
    return tl::make_unexpected(trimmed(nft_ctx_get_error_buffer(context.get())));
  }
  return std::string{nft_ctx_get_output_buffer(context.get())};
}

bool nft_has_queue() {
  return run_nft(
             "table inet ftpalg_check {\n"
             "  chain prerouting {\n"
             "    type filter hook prerouting priority mangle; policy accept;\n"
             "    meta mark 1 meta mark 2 queue flags bypass to 65535\n"
             "  }\n"
             "}\n",
             NftMode::check)
      .has_value();
}

}  // namespace ftpalg::rules
