// Package slack posts each exposure as one Slack message that is edited to show how
// it stands, with every step in its thread. An app can edit, answer and look for its
// own messages; an incoming webhook can only post. Text that a record chose stands
// in plain-text and rich-text elements, where no character has a meaning. The
// reference holds the channel and the time stamp of the message.
package slack
