// The page's policy takes only styles that carry this.
export const nonce = document.querySelector('meta[name="csp-nonce"]')?.getAttribute("content") ?? "";

(globalThis as { __webpack_nonce__?: string }).__webpack_nonce__ = nonce;
