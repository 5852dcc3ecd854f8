import { nameBytes, nameFrom } from '../raw-names.ts'

/**
 * What goes over a control connection and comes in listings is taken byte by byte, each as one character of Latin-1: RFC 2640 wants
 * UTF-8, but names on old servers are what they are.
 */
export const WIRE = 'latin1'

/** A path as commands name it. */
export const toWire = (path: string): string => nameBytes(path).toString(WIRE)

/** The opposite, for names in listings and for words of the server. */
export const fromWire = (text: string): string => nameFrom(Buffer.from(text, WIRE))
