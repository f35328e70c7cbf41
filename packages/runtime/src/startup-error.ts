/** Why Coffer cannot start although its configuration is well-formed. `message` is for people and complete without the cause. */
export class StartupError extends Error {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = 'StartupError';
  }
}
