// Package zendesk keeps a ticket for each exposure, with a private comment for each
// step. It finds the ticket again by its external_id, so that a ticket is made once,
// and leaves one that a person solved or closed alone. The reference is the number
// of the ticket.
package zendesk
