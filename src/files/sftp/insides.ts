/** What ssh2 keeps under a name that its types leave out; `undefined` where it keeps nothing there. */
export const member = (holder: unknown, name: string): unknown =>
  typeof holder === 'object' && holder !== null ? Reflect.get(holder, name) : undefined
