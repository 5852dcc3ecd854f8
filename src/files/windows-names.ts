/**
 * What Windows takes in no name, beside the devices of old ("Naming Files, Paths, and Namespaces", Microsoft Learn, section "Naming
 * Conventions").
 */
const SIGNS = '<>:"\\|?*'
const DEVICE = /^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?: *\..*)?$/i

/** Why a name can't stand in a folder of Windows; `undefined` when it can. */
export function refusedByWindows(name: string): string | undefined {
  const sign = Array.from(name).find((each) => each < ' ' || SIGNS.includes(each))
  if (sign !== undefined) return `holds ${sign < ' ' ? 'a control character' : sign}`
  if (name.endsWith('.')) return 'ends with a dot'
  if (name.endsWith(' ')) return 'ends with a space'
  return DEVICE.test(name) ? 'is the name of a device' : undefined
}
